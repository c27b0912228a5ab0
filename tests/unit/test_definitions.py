"""A script's digest changes with whatever may change its result, and with nothing else, on every Python."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from stfpm3d.runtime.definitions import NEUTRAL, Definitions

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE.parents[1] / "workflow" / "scripts"
EVERY_SYNTAX = HERE / "every_syntax.txt"
PINNED = "27841525e51c2dbb"  # to change it is to rerun everything, everywhere
JOB = "from pack.a import f\n\nf()\n"


class Case(NamedTuple):
    """A small package and one change of it; files that are not named are `JOB` and empty `__init__.py`."""

    files: dict[str, str]
    file: str
    old: str
    new: str


def case(a: str, old: str, new: str, file: str = "a", **others: str) -> Case:
    """A case whose files lie in `pack`, the job aside; a change of `a` if no other file is named."""
    files = {"job.py": others.pop("job", JOB), "pack/__init__.py": others.pop("init", ""), "pack/a.py": a}
    files |= {f"pack/{name}.py": text for name, text in others.items()}
    return Case(files, {"job": "job.py", "init": "pack/__init__.py"}.get(file, f"pack/{file}.py"), old, new)


def digests(root: Path, change: Case) -> tuple[str, str]:
    """The digest of the job before and after the change."""
    for name, text in change.files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    before = Definitions(root).digest(root / "job.py")
    text = (root / change.file).read_text(encoding="utf-8")
    assert change.old in text
    (root / change.file).write_text(text.replace(change.old, change.new, 1), encoding="utf-8")
    return before, Definitions(root).digest(root / "job.py")


G = "def g(x):\n    return x + 1\n"
CALLS_G = "from pack.b import g\n\ndef f():\n    return g(1)\n"
PLUGIN = "TABLE = {}\n\ndef register(f):\n    TABLE[f.__name__] = f\n    return f\n"
CALLS_TABLE = (
    "from pack import b\nfrom pack.table import TABLE\n\ndef f():\n    return [g(1) for g in TABLE.values()]\n"
)

COUNTS = {
    "the script's own code": case("def f(): ...", "f()\n", "f(), f()\n", "job"),
    "a function": case("def f():\n    return 1", "1", "2"),
    "a function that this one calls": case(CALLS_G, "+ 1", "+ 2", "b", b=G),
    "a function of a module": case("from pack import b\n\ndef f():\n    return b.g(1)", "+ 1", "+ 2", "b", b=G),
    "a function by its full path": case("import pack.b\n\ndef f(): pack.b.g(1)", "+ 1", "+ 2", "b", b=G),
    "a function of an alias": case("import pack.b as c\n\ndef f(): c.g(1)", "+ 1", "+ 2", "b", b=G),
    "a relative import in a function": case("def f():\n    from . import b\n    b.g(1)", "+ 1", "+ 2", "b", b=G),
    "a relative import of a name": case("from .b import g\n\ndef f(): g(1)", "+ 1", "+ 2", "b", b=G),
    "a function that is handed on": case(CALLS_G, "+ 1", "+ 2", "c", b="from pack.c import g", c=G),
    "a function of the package": case("from . import g\n\ndef f(): g(1)", "+ 1", "+ 2", "init", init=G),
    "a package of packages": case("from .sub.b import g\n\ndef f(): g(1)", "+ 1", "+ 2", "sub/b", **{"sub/b": G}),
    "a function of the same module": case("def g():\n    return 1\n\ndef f():\n    g()", "1", "2"),
    "a function in a list": case(CALLS_G.replace("return g(1)", "return [g]"), "+ 1", "+ 2", "b", b=G),
    "a nested function": case("def f():\n    def g():\n        return 1\n    return g()", "1", "2"),
    "which of two functions is called": case(
        "from pack.b import g\nfrom pack.c import h\n\ndef f(): g(1), h(1)",
        "from pack.b import g\nfrom pack.c import h",
        "from pack.c import g\nfrom pack.b import h",
        b="def g(x): return x\n\ndef h(x): return -x",
        c="def g(x): return -x\n\ndef h(x): return x",
    ),
    "a default argument": case("from pack.b import g\n\ndef f(x=g): ...", "+ 1", "+ 2", "b", b=G),
    "a constant": case("N = 1\n\ndef f():\n    return N", "1", "2"),
    "a constant of a constant": case("N = 1\nM = [N]\n\ndef f():\n    return M", "1", "2"),
    "a constant with a type": case("N: int = 1\n\ndef f():\n    return N", "1", "2"),
    "a constant of another module": case("from pack import b\n\ndef f(): b.N", "1", "2", "b", b="N = 1"),
    "a constant that is set twice": case("N = 1\nN = N + 1\n\ndef f():\n    return N", "+ 1", "+ 2"),
    "a constant of two at once": case("N, M = 1, 2\n\ndef f():\n    return M", "2", "3"),
    "a registry": case("from pack.b import g\nTABLE = {'g': g}\n\ndef f(k): TABLE[k](1)", "+ 1", "+ 2", "b", b=G),
    "a registry that is filled elsewhere": case(
        CALLS_TABLE, "+ 1", "+ 2", "b", table="TABLE = {}", b=f"from pack.table import TABLE\n{G}TABLE['g'] = g"
    ),
    "a registry that is updated elsewhere": case(
        CALLS_TABLE, "+ 1", "+ 2", "b", table="TABLE = {}", b=f"from pack.table import TABLE\n{G}TABLE |= {{'g': g}}"
    ),
    "a decorator that registers": case(
        CALLS_TABLE, "+ 1", "+ 2", "b", table=PLUGIN, b=f"from pack.table import register\n\n@register\n{G}"
    ),
    "a decorator of a registered method": case(
        CALLS_TABLE, "3", "4", "b", table=PLUGIN,
        b="from pack.table import register\n\nclass B:\n    @register\n    def g(x):\n        return 3",
    ),
    "a decorator": case(
        "from pack.b import twice\n\n@twice\ndef f(): ...", "2", "3", "b", b="def twice(f): return lambda: 2 * f()"
    ),
    "the decorator of another project": case(
        "import functools\n\n@functools.cache\ndef f(): ...", "functools.cache", "functools.lru_cache"
    ),
    "a decorator of another project that may register": case(
        "from pack import b\n\ndef f(): ...", "1", "2", "b", b="import atexit\n\n@atexit.register\ndef g(): return 1"
    ),
    "a class that registers itself by its base": case(
        "from pack import b\nfrom pack.c import Base\n\ndef f(): Base.known",
        "1",
        "2",
        "b",
        b="from pack.c import Base\n\nclass B(Base):\n    x = 1",
        c="class Base:\n    known = []\n    def __init_subclass__(cls): Base.known.append(cls)",
    ),
    "a class with a metaclass": case(
        "from pack import b\n\ndef f(): ...", "1", "2", "b", b="class B(metaclass=M):\n    x = 1"
    ),
    "a class with a base of an unknown project": case(
        "from pack import b\n\ndef f(): ...", "1", "2", "b", b="from x import X\n\nclass B(X):\n    x = 1"
    ),
    "classes that are asked for": case(
        "from pack import b\nfrom pack.c import Base\n\ndef f(): Base.__subclasses__()",
        "1",
        "2",
        "b",
        b="from pack.c import Base\n\nclass B(Base):\n    x = 1",
        c="class Base:\n    y = 1",
    ),
    "a method": case("class A:\n    def g(self):\n        return 1\n\ndef f():\n    A()", "1", "2"),
    "a method of a base": case(
        "from pack.b import B\n\nclass A(B): ...\n\ndef f(): A()", "1", "2", "b", b="class B:\n    def g(x): return 1"
    ),
    "what a method calls": case(
        "from pack.b import g\n\nclass A:\n    def h(self): g(1)\n\ndef f(): A()", "+ 1", "+ 2", "b", b=G
    ),
    "the attribute of a class": case("class A:\n    x = 1\n\ndef f():\n    A.x", "1", "2"),
    "the field of a named tuple": case(
        "from typing import NamedTuple\n\nclass A(NamedTuple):\n    x: int = 1\n    y: int = 2\n\ndef f(): A()",
        "x: int = 1\n    y: int = 2",
        "y: int = 2\n    x: int = 1",
    ),
    "the type of a model's field": case(
        "from pydantic import BaseModel\n\nclass A(BaseModel):\n    x: int\n\ndef f(): A(x='1')", "int", "str"
    ),
    "the class of a field, in quotes": case(
        "from pydantic import BaseModel\n\nclass A(BaseModel):\n    x: 'list[B]'\nclass B:\n    y = 1\n\ndef f(): A()",
        "1",
        "2",
    ),
    "the annotation of a decorated function": case(
        "from x import validated\n\n@validated\ndef f(x: int): ...", "int", "str"
    ),
    "what an annotation is read for": case("def f(x: int):\n    f.__annotations__", "int", "str"),
    "what a docstring is read for": case("def f():\n    'doc'\n    return f.__doc__", "doc", "other"),
    "an import of another project": case("from scipy import ndimage\n\ndef f(): ndimage.label", "scipy", "cupyx"),
    "a module of another project": case("import a.b as c\n\ndef f(): c.d()", "a.b", "a.e"),
    "an import in a function": case("def f():\n    from scipy import ndimage", "scipy", "cupyx"),
    "another project's import for its effect": case("import readline\n\ndef f(): ...", "readline", "pdb"),
    "code of a package": case("def f(): ...", "1", "2", "init", init="import os\nos.environ['X'] = '1'"),
    "a call at a module's level": case("import os\nos.umask(1)\n\ndef f(): ...", "1", "2"),
    "a call in a module that is only imported": case(
        "from pack import b\n\ndef f(): ...", "1", "2", "b", b="import os\nos.umask(1)"
    ),
    "a call in a module that a function imports": case(
        "def f():\n    from pack import b", "1", "2", "b", b="import os\nos.umask(1)"
    ),
    "an assigned call": case("from pack import b\n\ndef f(): ...", "1", "2", "b", b="import os\nOLD = os.umask(1)"),
    "a default that is a call": case(
        "from pack import b\n\ndef f(): ...", "1", "2", "b", b="import os\ndef g(x=os.umask(1)): ..."
    ),
    "the order of effects": case(
        "from pack import b\nfrom pack import c\n\ndef f(): ...",
        "from pack import b\nfrom pack import c",
        "from pack import c\nfrom pack import b",
        b="import os\nos.umask(1)",
        c="import os\nos.umask(2)",
    ),
    "a condition at a module's level": case("X = 1\nif X:\n    N = 1\nelse:\n    N = 3\n\ndef f():\n    N", "3", "4"),
    "a loop at a module's level": case("X = {}\nfor x in (1, 2):\n    X[x] = 5\n\ndef f():\n    X", "5", "6"),
    "a fallback": case(
        "try:\n    from pack.b import g\nexcept ImportError:\n    from pack.c import g\n\ndef f(): g(1)",
        "+ 1",
        "+ 2",
        "c",
        b=G,
        c=G,
    ),
    "which import comes first": case(
        "def f(x):\n    if x:\n        from pack.b import g\n    else:\n        from pack.c import g\n    g(1)",
        "pack.b",
        "pack.c",
        b=G,
        c=G.replace("1", "2"),
    ),
    "where a function imports": case(
        "def f(x):\n    if x:\n        from pack.b import g\n        import os\n    g(1)",
        "        import os",
        "    import os",
        b=G,
    ),
    "another module's attribute that is replaced": case(
        "from pack import b, c\n\ndef f(): b.g(1)", "+ 1", "+ 2", "c", b=G, c=f"from pack import b\n{G}\nb.g = g"
    ),
    "another project's attribute that is replaced": case(
        "from pack import b\n\ndef f(): ...", "1", "2", "b", b="import numpy as np\nnp.pi = 1"
    ),
    "a module's attribute that a function replaces": case(
        "from pack import b\n\ndef f():\n    b.g = b.h", "+ 1", "+ 2", "b", b=G.replace("def g", "def h")
    ),
    "a module that is handed on": case("from pack import b\n\ndef f(h): h(b)", "+ 1", "+ 2", "b", b=G),
    "what a module that is handed on imports": case(
        "from pack import b\n\ndef f(h): h(b)", "+ 1", "+ 2", "c", b="from pack import c", c=G
    ),
    "a dynamic attribute of a module": case(
        "from pack import b\n\ndef f(name): getattr(b, name)(1)", "+ 1", "+ 2", "b", b=G
    ),
    "a module's own attributes": case(f"{G}\n\ndef f(name):\n    return globals()[name]", "+ 1", "+ 2"),
    "a module's variables": case("from pack import b\n\ndef f(name): vars(b)[name]", "+ 1", "+ 2", "b", b=G),
    "a module's dictionary": case("from pack import b\n\ndef f(name): b.__dict__[name]", "+ 1", "+ 2", "b", b=G),
    "a module's `__getattr__`": case(
        "from pack import b\n\ndef f(): b.late", "1", "2", "b", b="def __getattr__(name): return 1"
    ),
    "a name that the module's `__getattr__` gives": case(
        "from pack.b import late\n\ndef f(): late", "1", "2", "b", b="def __getattr__(name): return 1"
    ),
    "code in a string": case("from pack import b\n\ndef f(): eval('b.g(1)')", "+ 1", "+ 2", "b", b=G),
    "an import by name": case("import importlib\n\ndef f(n): importlib.import_module(n)", "+ 1", "+ 2", "b", b=G),
    "an import by `__import__`": case("def f(n): __import__(n)", "+ 1", "+ 2", "b", b=G),
    "a module by its name": case("import sys\n\ndef f(n): sys.modules[n]", "+ 1", "+ 2", "b", b=G),
    "a module by its name, imported": case("from sys import modules\n\ndef f(n): modules[n]", "+ 1", "+ 2", "b", b=G),
    "what is unpickled": case("import pickle\n\ndef f(p): pickle.load(p)", "+ 1", "+ 2", "b", b=G),
    "a function's globals": case(f"{G}\n\ndef f(n): return f.__globals__[n]", "+ 1", "+ 2"),
    "a star import": case("from pack.b import *\n\ndef f(): g(1)", "+ 1", "+ 2", "b", b=G),
    "a star import of a star import": case(
        "from pack.b import *\n\ndef f(): g(1)", "+ 1", "+ 2", "c", b="from pack.c import *", c=G
    ),
    "a star import in the script": case("", "+ 1", "+ 2", "b", job="from pack.b import *\n\ng(1)", b=G),
    "a star import of another project": case("from numpy import *\n\ndef f(): pi", "numpy", "math"),
    "the place of a module that asks for it": Case(
        {"job.py": "from a import f\nf()", "a.py": "from b.c import f", "b/c.py": "def f(): return __file__",
         "b/d.py": "def f(): return __file__"},
        "a.py", "b.c", "b.d",
    ),
    "a condition for raising": case("def f(x):\n    if x > 1:\n        raise ValueError('high')", "> 1", "> 2"),
    "that something is raised": case("def f(x):\n    raise ValueError('high')", "raise", "return"),
    "the class that is raised": case("def f(x):\n    raise ValueError('high')", "ValueError", "KeyError"),
    "a value that an exception carries": case("def f(x):\n    raise StopIteration(1)", "1", "2"),
    "what is caught": case("def f():\n    try: 1\n    except ValueError: 2", "ValueError", "KeyError"),
    "a log line that does something": case(
        "import logging\nlog = logging.getLogger()\n\ndef f(x):\n    log.info('%d', next(x))", "next(x)", "0"
    ),
    "a log line that uses up an iterator": case(
        "import logging\nlog = logging.getLogger()\n\ndef f(x):\n    log.info('%s', [y for y in x])", "in x", "in []"
    ),
    "a call of something else named log": case("def f(log):\n    log.info('one')", "one", "two"),
    "a log that is not the module's": case(
        "import logging\nlog = logging.getLogger()\n\ndef f(log):\n    log.info('one')", "one", "two"
    ),
    "the format of tables": case(
        "from pack.files import write_table\n\ndef f(): write_table(1)",
        "n/a",
        "NA",
        "files",
        files="def write_table(t):\n    return t.to_csv(na_rep='n/a')",
    ),
}  # fmt: skip

LOGS = "import logging\nlog = logging.getLogger(__name__)\n\ndef f(x):\n    log.info('x %d', len(x))"

DOES_NOT_COUNT = {
    "a comment": case("def f():\n    return 1  # one", "# one", "# 1"),
    "the layout": case("def f():\n    return 1 + 1", "1 + 1", "(1\n        +  1)"),
    "a docstring": case('def f():\n    """Do."""', "Do.", "Do it."),
    "a docstring that is gone": case('class A:\n    """A."""\n\ndef f(): A()', '"""A."""', "pass"),
    "the docstring of an attribute": case('X = 1\n"""One."""\ndef f():\n    return X', "One", "1"),
    "a definition that is not reached": case(f"def f(): ...\n{G}", "+ 1", "+ 2"),
    "a class that is not reached": case("def f(): ...\nclass A:\n    x = 1", "1", "2"),
    "a constant that is not reached": case("import re\nN = re.compile('1')\ndef f(): ...", "'1'", "'2'"),
    "a module that nothing imports": case("def f(): ...", "+ 1", "+ 2", "b", b=G),
    "an unreached definition of a module that is imported": case(
        "from pack.b import h\n\ndef f(): h()", "+ 1", "+ 2", "b", b=f"def h(): ...\n{G}"
    ),
    "an unreached module that is imported": case(
        "from pack.b import g\n\ndef f(): ...\n\ndef h(): g(1)", "+ 1", "+ 2", "b", b=G
    ),
    "the order of definitions": case(
        "N = 1\n\ndef g():\n    return N\n\ndef f():\n    g()",
        "N = 1\n\ndef g():\n    return N\n\ndef f():\n    g()",
        "def f():\n    g()\n\ndef g():\n    return N\n\nN = 1",
    ),
    "an annotation": case("def f(x: int) -> int:\n    y: int = x\n    return y", "x: int) -> int", "x: float)"),
    "the annotation of a variable": case("def f(x):\n    y: int = x\n    return y", "y: int", "y"),
    "the annotation of an attribute": case("def f(x):\n    x.y: int = 1", "x.y: int", "x.y: float"),
    "the annotation of a constant": case("N: int = 1\n\ndef f():\n    return N", "N: int", "N"),
    "what only an annotation imports": case(
        "from a import Iterable\ndef f(x: Iterable): ...", "Iterable\ndef f(x: Iterable", "Sequence\ndef f(x: Sequence"
    ),
    "imports for types": case(
        "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import a\n\ndef f(): ...", "import a", "import b"
    ),
    "a reworded error": case("def f(x):\n    if x: raise ValueError(f'high {x}')", "high {x}", "{x} is high"),
    "the cause of an error": case("def f(x):\n    raise ValueError('high') from x", "from x", "from None"),
    "a log line": case(LOGS, "x %d", "x: %d"),
    "a log line that is gone": case(LOGS, "log.info('x %d', len(x))", "pass"),
    "the name of a log": case(LOGS, "__name__", "'other'"),
    "a log line of a script": case(
        "", "one", "two", "job", job="from pack.logs import rule_log\nwith rule_log(1) as log:\n    log.info('one')"
    ),
    "how files are written": case(
        "from pack.files import replacing\n\ndef f(): replacing(1)",
        "+ 1",
        "+ 2",
        "files",
        files="def replacing(x):\n    return x + 1",
    ),
    "a condition for types": case(
        "import typing\n\ndef f():\n    if typing.TYPE_CHECKING:\n        return 1\n    return 2",
        "return 1",
        "return 3",
    ),
}


@pytest.mark.parametrize("change", COUNTS)
def test_what_may_change_a_result_counts(tmp_path: Path, change: str) -> None:
    before, after = digests(tmp_path, COUNTS[change])
    assert after != before


@pytest.mark.parametrize("change", DOES_NOT_COUNT)
def test_what_changes_no_result_does_not_count(tmp_path: Path, change: str) -> None:
    before, after = digests(tmp_path, DOES_NOT_COUNT[change])
    assert after == before


def test_a_module_may_move(tmp_path: Path) -> None:
    """Its file, its name and the imports of it change, and what it holds does not."""
    before, _ = digests(tmp_path, case(CALLS_G, "", "", b=f"N = 1\n{G.replace('1', 'N')}"))
    (tmp_path / "pack" / "room").mkdir()
    (tmp_path / "pack" / "b.py").rename(tmp_path / "pack" / "room" / "c.py")
    (tmp_path / "pack" / "a.py").write_text(CALLS_G.replace("pack.b", "pack.room.c"), encoding="utf-8")
    assert Definitions(tmp_path).digest(tmp_path / "job.py") == before


def test_a_definition_may_move_to_another_module(tmp_path: Path) -> None:
    before, _ = digests(tmp_path, case(CALLS_G, "", "", b=G))
    (tmp_path / "pack" / "a.py").write_text(f"{G}\ndef f():\n    return g(1)\n", encoding="utf-8")
    assert Definitions(tmp_path).digest(tmp_path / "job.py") == before


def test_a_circle_of_functions_and_of_imports_ends(tmp_path: Path) -> None:
    change = case(
        CALLS_G, "+ 1", "+ 2", "b", b="from pack import a\n\ndef g(x):\n    return a.f() + 1", init="from . import a"
    )
    before, after = digests(tmp_path, change)
    assert after != before


def test_each_file_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    parse = ast.parse

    def counted(source: str, *args, **kwargs):
        if not kwargs:  # not the annotations in quotes
            parsed.append(source)
        return parse(source, *args, **kwargs)

    monkeypatch.setattr(ast, "parse", counted)
    definitions = Definitions(SCRIPTS)
    scripts = sorted(SCRIPTS.glob("*.py"))
    assert len({definitions.digest(script) for script in scripts}) == len(scripts)
    assert len(parsed) == len(set(parsed)) > len(scripts)


def test_what_does_not_count_is_there() -> None:
    for name in NEUTRAL:
        module, _, function = name.partition(".")
        (path,) = (SCRIPTS / "stfpm3d").rglob(f"{module}.py")
        assert f"\ndef {function}(" in path.read_text(encoding="utf-8")


def interpreter(version: str) -> str | None:
    """A Python of this version: the running one, one on the path, or one of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    for command in (sys.executable, shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python"))):
        if command is None:
            continue
        answer = [command, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        if subprocess.run(answer, capture_output=True, text=True).stdout.strip() == version:
            return str(command)
    return None


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_digest_is_the_same_on_every_python(version: str) -> None:
    """With the standard library alone, of a file with every kind of syntax and of all scripts."""
    command = interpreter(version)
    if command is None:
        pytest.skip(f"no Python {version} here")
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from stfpm3d.runtime.definitions import Definitions\n"
        "definitions = Definitions(Path(sys.argv[1]))\n"
        "print(*(definitions.digest(Path(script)) for script in sys.argv[2:]))"
    )
    scripts = sorted(SCRIPTS.glob("*.py"))
    done = subprocess.run(
        [command, "-I", "-S", "-W", "ignore", "-c", code, SCRIPTS, EVERY_SYNTAX, *scripts],
        check=True,
        capture_output=True,
        text=True,
    )
    definitions = Definitions(SCRIPTS)
    assert done.stdout.split() == [PINNED, *map(definitions.digest, scripts)]


def test_the_pinned_file_has_every_kind_of_syntax() -> None:
    def kinds(kind: type[ast.AST]) -> set[str]:
        below = kind.__subclasses__()
        return set().union(*map(kinds, below)) if below else {kind.__name__}

    old = {
        "AugLoad",
        "AugStore",
        "Bytes",
        "Ellipsis",
        "ExtSlice",
        "Index",
        "NameConstant",
        "Num",
        "Param",
        "Str",
        "Suite",
    }
    newer = {"Interpolation", "ParamSpec", "TemplateStr", "TypeAlias", "TypeVar", "TypeVarTuple"}
    no_statements = {"Expression", "FunctionType", "Interactive", "TypeIgnore"}
    found = {type(node).__name__ for node in ast.walk(ast.parse(EVERY_SYNTAX.read_text(encoding="utf-8")))}
    assert kinds(ast.AST) - old - newer - no_statements <= found
