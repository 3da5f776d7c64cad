"""The house stays as docs/architecture.md draws it: light to import, inner layers ignorant of outer ones."""

import ast
import graphlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import list_modules

PACKAGE = Path(__file__).parents[2] / "nwb_cascade"
HEAVY = ("tensorflow", "keras", "pynwb", "h5py", "dask", "dandi", "matplotlib")
LAYERS = {
    "errors": 0,
    "core": 1,
    "files": 2,
    "provenance": 2,
    "pages": 3,
    "dff": 2,
    "discrete": 2,
    "architectures": 3,
    "models": 4,
    "dandi": 4,
    "nwb": 4,
    "options": 4,
    "readers": 5,
    "training": 5,
    "report": 6,
    "inference_run": 5,
    "inference": 6,
    "evaluation": 6,
    "spikefinder": 6,
    "results": 7,
    "online": 5,
    "writers": 8,
    "annotation": 9,
    "demo": 10,
    "doctor": 10,
    "archive": 10,
    "cli": 11,
    "__init__": 12,
}
STRANGERS = [
    (one, other)
    for one in ("nwb", "dandi", "architectures", "training", "evaluation")
    for other in ("nwb", "dandi", "architectures", "training", "evaluation")
    if one != other and (one not in ("training", "evaluation") or other not in ("architectures", "training"))
]
LEARNERS = ("training", "evaluation")
INFERRING = (
    "inference",
    "inference_run",
    "options",
    "readers",
    "results",
    "writers",
    "annotation",
    "archive",
    "nwb",
    "models",
    "online",
    "report",
)
KERAS_HOMES = ("architectures/backend.py", "architectures/on_keras.py", "architectures/on_tensorflow.py")
PURE = ("__future__", "collections", "dataclasses", "functools", "itertools", "json", "math", "numpy", "re", "scipy")
PURE += ("hashlib", "types", "typing", "warnings")
FILES_OF_NUMPY = ("fromfile", "genfromtxt", "load", "loadtxt", "memmap", "save", "savetxt", "savez", "savez_compressed")
WORLDLY = {"open", "print", "input", "exec", "eval", "__import__", "global", ".tofile", "json.load", "json.dump"} | {
    f"np.{name}" for name in FILES_OF_NUMPY
}

CODE = ("nwb_cascade", "ground_truth_nwb", "ndx-spike-inference", "scripts")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
MOST_LINES, MOST_PARAMETERS = 60, 8
# Functions of the public interface whose keywords are documented one by one.
LONG = {"annotate", "annotate_spikes", "infer"}
WIDE = {"annotate", "infer", "simulate_cell"}


def unit_of(path):
    """First part of a module's name below the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """Full names of everything that a module imports, wherever it does."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def own_imports():
    """(importing unit, imported unit, file) for every import inside the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "nwb_cascade" and len(parts) > 1:
                yield unit_of(path), parts[1], path


def test_every_module_has_a_layer():
    units = {unit_of(path) for path in PACKAGE.rglob("*.py")}
    assert units <= set(LAYERS), f"give {sorted(units - set(LAYERS))} a place in LAYERS and in docs/architecture.md"


def test_the_page_draws_the_packages_that_there_are():
    """Both ways."""
    page = list_modules.PAGE.read_text(encoding="utf-8").partition(list_modules.HEADING)[0]
    drawing = page.split("```")[1]
    entries = re.findall(r"^  (\w+)(?:/|\.py) ", drawing, re.MULTILINE)
    assert set(entries) == {unit_of(path) for path in PACKAGE.rglob("*.py")}
    tops = re.findall(r"^([\w-]+)/", drawing, re.MULTILINE)
    assert [name for name in tops if not (PACKAGE.parent / name).is_dir()] == []
    named = re.findall(r"`(\w+)\.(\w+)`", page)
    assert named
    assert [name for name in named if not (PACKAGE / name[0] / f"{name[1]}.py").exists()] == []


def test_every_module_stands_on_the_page_with_its_purpose_and_nothing_else_does():
    _, _, section = list_modules.PAGE.read_text(encoding="utf-8").partition(list_modules.HEADING)
    written, there = (set(text.splitlines()) for text in (section, list_modules.listed()))
    message = f"run 'python -m scripts.list_modules'; missing {there - written}, too many {written - there}"
    assert section == list_modules.listed().removeprefix(list_modules.HEADING), message


def test_few_modules_stand_beside_the_packages():
    assert len(list(PACKAGE.glob("[!_]*.py"))) <= 6


def test_functions_are_short_and_take_few_parameters():
    """Lines from ``def`` to the end, docstring included; parameters with ``self`` and ``**``."""
    paths = (path for folder in CODE for path in (PACKAGE.parent / folder).rglob("*.py") if "tests" not in path.parts)
    defs = [node for path in paths for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, FUNCTIONS)]
    assert {node.name for node in defs if node.end_lineno - node.lineno >= MOST_LINES} <= LONG
    assert {node.name for node in defs if n_parameters(node.args) > MOST_PARAMETERS} <= WIDE
    assert len(LONG) <= 5
    assert len(WIDE) <= 4


def n_parameters(arguments):
    """How many names a function takes."""
    named = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    return len(named) + sum(one is not None for one in (arguments.vararg, arguments.kwarg))


def test_inner_layers_never_import_outer_ones():
    wrong = [
        f"{path.name} ({unit}) imports {imported}"
        for unit, imported, path in own_imports()
        if unit != imported and unit != "__init__" and LAYERS[imported] > LAYERS[unit]
    ]
    assert not wrong


def test_no_import_is_relative():
    wrong = [str(path) for path in PACKAGE.rglob("*.py") if any(name.startswith(".") for name in imports(path))]
    assert not wrong


def test_the_outside_worlds_do_not_know_each_other():
    wrong = [str(path) for unit, imported, path in own_imports() if (unit, imported) in STRANGERS]
    assert not wrong


def test_nothing_that_infers_imports_training_or_evaluation():
    wrong = [str(path) for unit, imported, path in own_imports() if unit in INFERRING and imported in LEARNERS]
    assert not wrong


def test_the_core_is_numpy_and_scipy_only():
    """By path: whatever lies in core/ imports no file, clock, print or heavy package, lazily neither."""
    for path in (PACKAGE / "core").rglob("*.py"):
        strange = [name for name in imports(path) if not may_stand_in_the_core(name)]
        assert not strange, f"{path} imports {strange}"
        named = {name for node in ast.walk(ast.parse(path.read_text())) for name in names_in(node)}
        reached = {name for name in named if name in WORLDLY or name.startswith("np.random.")} - {"np.random.Generator"}
        assert not reached, f"{path} reaches {reached}"


def may_stand_in_the_core(name):
    """Whether the core may import a module: the pure parts of Python, numpy and scipy, itself, one table of names."""
    first, *rest = name.split(".")
    if first == "nwb_cascade":
        return rest[0] in ("core", "errors")
    return name.startswith("ground_truth_nwb.indicators.") or (
        first in PURE and not name.startswith(("scipy.io", "numpy.random"))
    )


def names_in(node):
    """What an expression calls by its plain name, or reaches as an attribute."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        yield node.func.id
    if isinstance(node, ast.Attribute):
        yield from (ast.unparse(node), f".{node.attr}")
    if isinstance(node, ast.Global):
        yield "global"


def test_the_table_of_indicators_needs_nothing_but_python():
    """`core/` reads it, so it must be as pure."""
    path = PACKAGE.parent / "ground_truth_nwb" / "indicators.py"
    assert {name.split(".")[0] for name in imports(path)} <= {"__future__", "dataclasses", "re"}
    assert set(imports(path.with_name("__init__.py"))) <= {"__future__.annotations", "importlib.metadata.version"}


def test_keras_and_what_it_computes_with_are_imported_in_one_place():
    libraries = {"keras", "tensorflow", "torch", "jax"}
    homes = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if libraries & {name.split(".")[0] for name in imports(path)}
    }
    # PyTorch also reads published weights, and hands out their types.
    assert homes == {*KERAS_HOMES, "models/published_weights.py"}


def test_nobody_asks_which_architecture_a_model_is_of():
    """What differs between architectures is a fact or a function of theirs, so that a new one changes no other code."""
    wrong = [
        f"{path}:{number}"
        for path in PACKAGE.rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(r"architecture\s*(==|!=|in \(|in \{|in \[)|match .*architecture", line)
    ]
    assert not wrong


@pytest.mark.parametrize("package", ["ground_truth_nwb", "ndx-spike-inference"])
def test_the_other_packages_never_import_nwb_cascade(package):
    root = PACKAGE.parent / package
    wrong = [
        str(path) for path in root.rglob("*.py") if any(name.split(".")[0] == "nwb_cascade" for name in imports(path))
    ]
    assert not wrong


@pytest.mark.parametrize(
    "code", ["import nwb_cascade", "from nwb_cascade.cli import main; main(['--help'], standalone_mode=False)"]
)
def test_starts_without_heavy_packages(code):
    probe = f"import sys\n{code}\nprint('loaded', [m for m in {HEAVY!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, env=environment())
    assert run.stdout.splitlines()[-1] == "loaded []"


@pytest.mark.parametrize(
    ("code", "needed"),
    [
        ("import nwb_cascade", {"nwb_cascade"}),
        (
            "from nwb_cascade.cli import main; main(['--help'], standalone_mode=False)",
            {"nwb_cascade", "click", "numpy"},
        ),
    ],
)
def test_start_imports_little_beside_the_standard_library(code, needed):
    probe = (
        f"import sys; before = set(sys.modules)\n{code}\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))"
    )
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, env=environment())
    found = {name for name in run.stdout.splitlines()[-1].split() if "cython" not in name}  # NumPy 1's own names
    assert found <= needed


def environment():
    """The environment of a subprocess that finds the checkout."""
    return os.environ | {"PYTHONPATH": str(PACKAGE.parent)}


def test_private_names_of_other_packages_are_the_ones_that_a_bound_holds():
    """Whoever needs another one bounds its package's version, here and in the metadata, or finds a public way."""
    root = PACKAGE.parent
    folders = ("nwb_cascade", "ground_truth_nwb", "scripts", "ndx-spike-inference/src/pynwb/ndx_spike_inference")
    nodes = [
        node
        for folder in folders
        for path in (root / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    ]
    own = {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    own |= {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    own |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    reached = {node.attr for node in nodes if isinstance(node, ast.Attribute)} - own
    reached |= {part for node in nodes if isinstance(node, ast.ImportFrom) for part in (node.module or "").split(".")}
    assert {name for name in reached if re.match(r"_[^_]", name)} == {
        "_in_construct_mode",
        "_exit",
    }  # hdmf; os, documented
    mangled = {name for name in own if re.match(r"_[A-Z]\w+__\w+$", name)}
    reading = {"_HDF5IO__read_ref", "_HDF5IO__read_group", "_HDF5IO__read_dataset"}
    assert mangled == {*reading, "_AbstractContainer__object_id"}  # hdmf
    for metadata in ("setup.cfg", "ndx-spike-inference/pyproject.toml"):
        assert re.search(r"hdmf>=[\d.]+,<\d+", (root / metadata).read_text(encoding="utf-8")), metadata


def test_no_module_imports_one_that_imports_it():
    """Not even late or for types: what computes comes before what shows."""
    modules = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
    graph = {
        module: {name if name in modules else name.rpartition(".")[0] for name in imports(path)} & set(modules)
        for module, path in modules.items()
    }
    assert list(graphlib.TopologicalSorter(graph).static_order())


def test_tests_reach_no_private_names_of_this_package():
    """What a test needs to see or to replace has a public name."""
    public_after_all = {
        "_exit",
        "_replace",
        "_repr_html_",
        "_objects",
        "_get_instance",
    }  # of others; the last is dandi's
    folders = (PACKAGE.parent / "tests", PACKAGE.parent / "ndx-spike-inference" / "src" / "pynwb" / "tests")
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        reached = {
            node.attr
            for node in nodes
            if isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id == "self")
        }
        for node in nodes:
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".setattr"):
                words = (one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str))
                reached |= {word.rpartition(".")[2] for word in words}
        private = {name for name in reached if re.match(r"_[^_]", name)} - public_after_all
        assert not private, f"{path} reaches {private}"
