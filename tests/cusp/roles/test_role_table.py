"""The table of real logs in docs/reference/roles.md is what the rules give."""

from tests.cusp.roles import role_table


def test_the_rules_give_the_roles_that_the_table_says() -> None:
    """On the names that stand in it: this holds where the logs are not."""
    rows = role_table.written()
    assert len(rows) > 20
    for logs, *cells in rows:
        names = [key for cell in cells for key in role_table.keys_in(cell)]
        assert list(role_table.row_of(names)) == cells, logs


def test_the_table_is_that_of_the_logs_where_they_are() -> None:
    if role_table.DATA.is_dir():
        assert role_table.written() == role_table.made()
    named = {name for row in role_table.written() for name in row[0].split(", ")}
    assert len(named) >= 70
    assert "batch_rows.json" in named
