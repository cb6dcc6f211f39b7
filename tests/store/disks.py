"""The disk under observation: what is done to it is recorded, can fail, and can be replayed.

``Disk`` stands before the functions of ``os``. ``crashes`` takes its record and gives every content
of the folder that a kill or a power loss could leave.
"""

import builtins
import itertools
import os
from functools import partial
from pathlib import Path

CHANGES = {"mkdir", "create", "write", "fsync", "rename", "unlink", "rmdir"}


class Disk:
    """Records what is done below a folder, and fails where ``fails(number, name)`` gives an error.

    An entry of the log is the name of the operation, the path below the folder, and what belongs
    to it: the bytes written, the new name.
    """

    def __init__(self, monkeypatch, root, fails=lambda number, name: None):
        self.root, self.fails = str(root), fails
        self.log, self.failed, self.files, self.on = [], [], {}, True
        for name in ("mkdir", "rmdir", "unlink", "remove", "chmod", "truncate", "listdir"):
            self.replace(monkeypatch, os, name, self.on_path)
        for name in ("scandir", "utime", "link", "symlink"):
            self.replace(monkeypatch, os, name, self.on_path)
        for name in ("rename", "replace"):
            self.replace(monkeypatch, os, name, self.on_two)
        for name in ("write", "fsync", "ftruncate", "fchmod", "fdatasync"):
            self.replace(monkeypatch, os, name, self.on_file)
        self.replace(monkeypatch, os, "open", self.on_open)
        self.replace(monkeypatch, os, "close", self.on_close)
        self.replace(monkeypatch, builtins, "open", self.on_path)

    def replace(self, monkeypatch, module, name, method):
        real = getattr(module, name)
        renamed = {"remove": "unlink", "replace": "rename", "fdatasync": "fsync"}.get(name, name)
        renamed = "read" if module is builtins else renamed
        monkeypatch.setattr(module, name, lambda *a, **o: method(renamed, real, *a, **o))

    def below(self, path, dir_fd=None):
        """The path below the root; None for any other."""
        if isinstance(path, int):
            return self.files.get(path)
        if dir_fd is not None:
            path = os.path.join(self.root, self.files[dir_fd], path)
        path = os.path.abspath(path)
        inside = path == self.root or path.startswith(self.root + os.sep)
        return os.path.relpath(path, self.root) if inside else None

    def note(self, name, path, *more):
        if path is None or not self.on:
            return
        number = len(self.log) + len(self.failed)
        if error := self.fails(number, name):
            self.failed.append((name, path, *more))
            raise OSError(error, os.strerror(error)) if isinstance(error, int) else error
        self.log.append((name, path, *more))

    def on_path(self, name, real, path=".", *args, dir_fd=None, **options):
        self.note(name, self.below(path, dir_fd))
        return real(path, *args, **options, **({} if dir_fd is None else {"dir_fd": dir_fd}))

    def on_two(self, name, real, source, target, **options):
        self.note(name, self.below(source), self.below(target))
        return real(source, target, **options)

    def on_open(self, name, real, path, flags, mode=0o777, *, dir_fd=None):
        below = self.below(path, dir_fd)
        self.note("create" if flags & os.O_CREAT else "open", below)
        file = real(path, flags, mode, dir_fd=dir_fd)
        if below is not None:
            self.files[file] = below
        return file

    def on_close(self, name, real, file):
        self.files.pop(file, None)
        return real(file)

    def on_file(self, name, real, file, *args):
        path = self.files.get(file)
        try:
            self.note(name, path, *map(bytes, args))
        except BaseException:
            if name == "write":  # a full disk takes what it has room for
                real(file, args[0][: len(args[0]) // 2])
            raise
        return real(file, *args)


class _File:
    def __init__(self, content=b"", synced=b""):
        self.content, self.synced = content, synced


class _Folder:
    def __init__(self, names=()):
        self.names, self.synced = dict(names), dict(names)


def _read(path):
    if path.is_dir():
        return _Folder({child.name: _read(child) for child in path.iterdir()})
    return _File(path.read_bytes(), path.read_bytes())


def crashes(root, log):
    """``(number of operations done, content)`` for all that a crash could leave.

    Args:
        root: The folder as it was before the log.
        log: Of a ``Disk``.

    A kill leaves what was done. A power loss leaves besides any choice of the changes of names
    since the last fsync of their directory, and of a file without fsync nothing, half of it, zeros
    or all of it. A content is nested dicts of bytes, given once, and again if left at the end.
    """
    seen = set()
    for done in range(len(log) + 1):
        for content in _after(root, log[:done]):
            if (fingerprint := hash((repr(content), done == len(log)))) not in seen:
                seen.add(fingerprint)
                yield done, content


def _after(root, log):
    top = _read(Path(root))
    pending = []  # (folder, function of its names), in order

    def find(path):
        node = top
        for name in Path(path).parts:
            node = node.names[name]
        return node

    def change(path, function):
        folder = find(Path(path).parent)
        function(folder.names)
        pending.append((folder, function))

    for name, path, *more in log:
        last = Path(path).name
        match name:
            case "mkdir":
                change(path, partial(_add, last, _Folder()))
            case "create":
                change(path, partial(_add, last, _File()))
            case "write":
                find(path).content += more[0]
            case "unlink" | "rmdir":
                change(path, partial(_drop, last))
            case "rename":
                assert Path(path).parent == Path(more[0]).parent
                change(path, partial(_rename, last, Path(more[0]).name))
            case "fsync":
                node = find(path)
                if isinstance(node, _File):
                    node.synced = node.content
                else:
                    node.synced = dict(node.names)
                    pending = [(folder, function) for folder, function in pending if folder != node]
            case _:
                assert name in {"open", "read", "scandir", "listdir"}, name
    for lost in _choices(len(pending)):
        names = {}
        for i, (folder, function) in enumerate(pending):
            kept = names.setdefault(id(folder), dict(folder.synced))
            if i not in lost:
                function(kept)
        for loss in ("nothing", "half", "zeros", "all"):
            yield _content(top, names, loss)


def _add(name, node, names):
    names[name] = node


def _drop(name, names):
    names.pop(name, None)


def _rename(old, new, names):
    if old in names:
        names[new] = names.pop(old)


def _choices(n):
    """Which of n changes are lost: any of few, of many all after one or one alone."""
    if n <= 6:
        return [set(c) for k in range(n + 1) for c in itertools.combinations(range(n), k)]
    return [set(range(k, n)) for k in range(n + 1)] + [{k} for k in range(n)]


def _content(node, names, loss):
    if isinstance(node, _Folder):
        children = names.get(id(node), node.names)
        return {name: _content(child, names, loss) for name, child in sorted(children.items())}
    if node.content == node.synced or loss == "nothing":
        return node.content
    rest = len(node.content) - len(node.synced)
    match loss:
        case "half":
            return node.content[: len(node.synced) + rest // 2]
        case "zeros":
            return node.synced + bytes(rest)
    return node.synced


def write(folder, content):
    """Puts a content of ``crashes`` on the real disk."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, child in content.items():
        if isinstance(child, dict):
            write(folder / name, child)
        else:
            (folder / name).write_bytes(child)
