"""The changes: what each piece of a module's source may become.

A change is of the text at one expression or statement, so that the rest of the file stays as it is.
Left alone is what no test should look at: annotations, docstrings, log calls, the words of errors
and descriptions, and what only a type checker reads.
"""

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeGuard

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
}  # fmt: skip # one table
BOUNDARIES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
}  # fmt: skip # one table
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.LShift: ast.RShift,
    ast.RShift: ast.LShift, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip # one table
LOGS = {"log", "level"}
"""A logger, and one of its methods by a name of its own."""
CRASH_POINTS = {"reached"}
"""Where tests kill the product: theirs, and nothing in production. A test names each of them."""
WORDS = {"description", "title", "doc", "detail", "reason"}
"""Keyword arguments that people read."""
GUARDS = {"strict", "use_errno"}
"""Keyword arguments that change nothing where no mistake was made: `zip(a, b, strict=True)`, and
whether ctypes keeps an errno that nobody reads."""
TYPING = {"TypeVar", "NewType", "cast", "get_logger", "Literal", "Annotated"}
FEW = 10
"""Below this a number is changed by one, and from it on doubled: one second more is no fault."""


@dataclass(frozen=True)
class Mutant:
    """One change of one file; `start` and `end` are offsets in its bytes."""

    file: str
    line: int
    within: str  # the function, as in `Class.function`; empty in the module itself
    lines: frozenset[int]  # whoever runs one of them may notice
    operator: str
    was: str
    becomes: str
    start: int
    end: int

    @property
    def place(self) -> tuple[str, frozenset[int]]:
        return self.file, self.lines

    @property
    def name(self) -> tuple[str, str, str, str]:
        """What is the same as long as the code is."""
        return self.file, self.within, self.was, self.becomes

    def applied_to(self, source: bytes) -> bytes:
        return source[: self.start] + self.becomes.encode() + source[self.end :]


def mutants_of(file: str, source: str) -> list[Mutant]:
    """All changes of a file, in order."""
    return list(_Finder(file, source).all())


Change = tuple[str, ast.expr | ast.stmt, str]
"""The operator, what it replaces, and by what."""


class _Finder:
    def __init__(self, file: str, source: str) -> None:
        self._file = file
        self._tree = ast.parse(source)
        self._source = source.encode()
        self._starts = [0]
        for line in self._source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._errors = {each.name for each in ast.walk(self._tree) if _is_error(each)}

    def all(self) -> Iterator[Mutant]:
        return self._of_body(self._tree.body, "", at_import=True)

    def _of_body(self, body: list[ast.stmt], within: str, *, at_import: bool) -> Iterator[Mutant]:
        for statement in body:
            is_words = within.partition(".")[0] in self._errors and _is_super_init(statement)
            if not is_words and not _only_read(statement):
                yield from self._of_statement(statement, within, at_import=at_import)

    def _of_statement(
        self, statement: ast.stmt, within: str, *, at_import: bool
    ) -> Iterator[Mutant]:
        inner = within
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = f"{within}.{statement.name}".lstrip(".")
        lines = self._noticing(statement, at_import=at_import)
        for operator, node, becomes in _changes(statement):
            start, end = self._place(node)
            was = self._source[start:end].decode()
            yield Mutant(self._file, node.lineno, inner, lines, operator, was, becomes, start, end)
        in_function = isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef)
        for body in _bodies(statement):
            yield from self._of_body(body, inner, at_import=at_import and not in_function)

    def _noticing(self, statement: ast.stmt, *, at_import: bool) -> frozenset[int]:
        """The lines that run the statement. What runs at import runs for every test: there they
        are those that use the name it gives, and without one, all of the file."""
        if not at_import or isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            return frozenset(_own_lines(statement))
        names = {node.id for node in ast.walk(statement) if _is_given(node)}
        uses = {node.lineno for node in ast.walk(self._tree) if _is_use(node, names)}
        return frozenset(uses or range(1, len(self._starts)))

    def _place(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        last, column = node.end_lineno or node.lineno, node.end_col_offset or 0
        return self._starts[node.lineno - 1] + node.col_offset, self._starts[last - 1] + column


def _is_error(node: ast.AST) -> TypeGuard[ast.ClassDef]:
    """A class of errors whose base keeps what it is given for whoever reads it, and no more."""
    bases = node.bases if isinstance(node, ast.ClassDef) else []
    found = [getattr(builtins, each.id, None) for each in bases if isinstance(each, ast.Name)]
    return any(isinstance(each, type) and issubclass(each, Exception) for each in found)


def _is_super_init(statement: ast.stmt) -> bool:
    return ast.unparse(statement).startswith("super().__init__(")


def _only_read(statement: ast.stmt) -> bool:
    """Docstrings, logs, imports, and what only a type checker reads."""
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(
            value=ast.Call(func=ast.Attribute(value=ast.Name(id=name)) | ast.Name(id=name))
        ):
            return name in LOGS | CRASH_POINTS
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Assign(targets=[ast.Name(id="__all__")]):
            return True
        case ast.Assign(value=ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name))):
            return name in TYPING
    return False


def _bodies(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        yield getattr(statement, name, [])
    for each in getattr(statement, "handlers", []) + getattr(statement, "cases", []):
        yield each.body


def _is_given(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def _is_use(node: ast.AST, names: set[str]) -> TypeGuard[ast.Name | ast.Attribute]:
    name = node.id if isinstance(node, ast.Name) else getattr(node, "attr", None)
    return name in names and isinstance(getattr(node, "ctx", None), ast.Load)


def _own_lines(statement: ast.stmt) -> range:
    """Those of the statement but for its body; of a function, those that its callers run."""
    first, last = statement.lineno, statement.end_lineno or statement.lineno
    bodies = [body for body in _bodies(statement) if body]
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        return range(statement.body[0].lineno, last + 1)
    return range(first, max(first, bodies[0][0].lineno - 1) + 1 if bodies else last + 1)


def _changes(statement: ast.stmt) -> Iterator[Change]:
    """Of the statement as a whole, and of the expressions that are its own."""
    yield from _of_the_whole(statement)
    if isinstance(statement, ast.Raise) and isinstance(statement.exc, ast.Call):
        return  # what it says is words; that it is raised is the rule
    for name, value in ast.iter_fields(statement):
        if name in {"annotation", "returns", "decorator_list", "bases", "keywords", "targets"}:
            continue
        if name == "args":  # of a function: only its defaults
            value = [*value.defaults, *(each for each in value.kw_defaults if each)]  # noqa: PLW2901 - the same, as a list
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.withitem):
                node = node.context_expr  # noqa: PLW2901 - the name it is bound to is no value
            if isinstance(node, ast.expr):
                yield from _within(node)


def _of_the_whole(statement: ast.stmt) -> Iterator[Change]:
    match statement:
        case (
            ast.Expr(value=ast.Call() | ast.Await()) | ast.Raise() | ast.AugAssign() | ast.Delete()
        ):
            yield "statement dropped", statement, "pass"
        case ast.Return(value=ast.expr() as value) if not _is_none_or_bool(value):
            yield "nothing returned", statement, "return None"
        case ast.Return(value=None) | ast.Break() | ast.Continue():
            yield "statement dropped", statement, "pass"
        case ast.If(test=test) | ast.While(test=test):
            yield from _negated(test)


def _negated(test: ast.expr) -> Iterator[Change]:
    """A lone comparison and a `not` have operators of their own."""
    if not isinstance(test, ast.Compare | ast.UnaryOp):
        yield "condition negated", test, f"not ({ast.unparse(test)})"


def _within(node: ast.expr) -> Iterator[Change]:
    if isinstance(node, ast.JoinedStr | ast.Lambda) or _is_typing(node):
        return  # the places of expressions in a formatted text are not known before Python 3.12
    yield from _of_expression(node)
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.keyword(arg=name) if name in WORDS | GUARDS:
                continue
            case ast.keyword(value=value):
                yield from _within(value)
            case ast.comprehension():
                for each in (child.iter, *child.ifs):
                    yield from _within(each)
            case ast.expr():
                yield from _within(child)


def _is_typing(node: ast.expr) -> bool:
    match node:
        case ast.Subscript(value=ast.Name(id=name)) | ast.Call(func=ast.Name(id=name)):
            return name in TYPING
    return False


def _of_expression(node: ast.expr) -> Iterator[Change]:
    match node:
        case ast.Compare():
            yield from _of_comparison(node)
        case ast.BoolOp(op=op):
            other = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield "and/or", node, _with(node, "op", other)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "not dropped", node, f"({ast.unparse(operand)})"
        case ast.IfExp(test=test):
            yield from _negated(test)
        case ast.BinOp(op=op) if type(op) in ARITHMETIC and not _is_union(node):
            yield "arithmetic", node, _with(node, "op", ARITHMETIC[type(op)]())
        case ast.Constant(value=value):
            yield from _of_constant(node, value)


def _of_comparison(node: ast.Compare) -> Iterator[Change]:
    for index, each in enumerate(node.ops):
        for operator, table in (
            ("comparison swapped", COMPARISONS),
            ("boundary moved", BOUNDARIES),
        ):
            if type(each) in table:
                changed = [*node.ops[:index], table[type(each)](), *node.ops[index + 1 :]]
                yield operator, node, _with(node, "ops", changed)


def _of_constant(node: ast.expr, value: object) -> Iterator[Change]:
    match value:
        case bool():
            yield "constant changed", node, repr(not value)
        case int() | float():
            yield "constant changed", node, repr(value + 1 if value < FEW else value * 2)
        case str() if " " in value.strip():
            return  # words
        case str() | bytes() if value:
            yield "constant changed", node, repr(_other(value))


def _other(value: str | bytes) -> str | bytes:
    """The same with another last letter: a shorter beginning would still be one."""
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1])
    return value[:-1] + chr(ord(value[-1]) ^ 1)


def _is_none_or_bool(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, bool | None)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_union(node: ast.BinOp) -> bool:
    """`int | None` or `Start | End`, where a type is written as a value."""
    if not isinstance(node.op, ast.BitOr):
        return False
    name = node.right.id if isinstance(node.right, ast.Name) else ""
    return _is_none(node.right) or (name[:1].isupper() and not name.isupper())


def _with(node: ast.expr, field: str, value: object) -> str:
    """The expression's source with one field of it changed, in parentheses."""
    fields = dict(ast.iter_fields(node)) | {field: value}
    return f"({ast.unparse(ast.copy_location(type(node)(**fields), node))})"
