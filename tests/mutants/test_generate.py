"""The generator finds the guards, so that none is left out unawares."""

from pathlib import Path

from tests.mutants.generate import applied, mutants


def guards(path: Path, source: str) -> list[str]:
    path.write_text(source)
    return [mutant.guard for mutant in mutants(path) if mutant.change == "drop"]


def test_conjuncts_of_every_where(tmp_path: Path) -> None:
    source = """
    -- WHERE a = 1
    WITH x AS (DELETE FROM t WHERE a = 'WHERE b AND c' AND (b OR c) AND d BETWEEN 1 AND 2 RETURNING *)
    UPDATE u SET v = 1 WHERE id = ANY(ARRAY(SELECT id FROM x WHERE e IS NULL ORDER BY id LIMIT 3)) AND f > 2;
    CREATE INDEX i ON t(a) WHERE b = 1;
    CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ DELETE FROM t WHERE g $$;
    """
    assert guards(tmp_path / "x.sql", source) == [
        "a = 'WHERE b AND c'",
        "(b OR c)",
        "d BETWEEN 1 AND 2",
        "id = ANY(ARRAY(SELECT id FROM x WHERE e IS NULL ORDER BY id LIMIT 3))",
        "f > 2",
        "e IS NULL",
        "g",
    ]


def test_conditions_in_lua(tmp_path: Path) -> None:
    source = """
    if a == 'then' and (b or c) then f() elseif not d then g() end
    while n > 0 do n = n - 1 end -- if x then
    if p or q and r then return end
    """
    assert guards(tmp_path / "x.lua", source) == [
        "a == 'then'",
        "(b or c)",
        "not d",
        "n > 0",
        "p or q and r",
    ]


def test_a_guard_that_is_there_twice_is_numbered(tmp_path: Path) -> None:
    source = "SELECT 1 WHERE a = 1 UNION SELECT 2 WHERE a = 1"
    assert guards(tmp_path / "x.sql", source) == ["a = 1", "a = 1 #2"]


def test_a_mutant_changes_one_guard_only(tmp_path: Path) -> None:
    path = tmp_path / "x.sql"
    path.write_text("DELETE FROM t WHERE a = 1 AND b = 2")

    changed = [applied([mutant], path.read_text()) for mutant in mutants(path)]
    assert changed == [
        "DELETE FROM t WHERE (TRUE OR a = 1) AND b = 2",
        "DELETE FROM t WHERE NOT (a = 1) AND b = 2",
        "DELETE FROM t WHERE a = 1 AND (TRUE OR b = 2)",
        "DELETE FROM t WHERE a = 1 AND NOT (b = 2)",
    ]
