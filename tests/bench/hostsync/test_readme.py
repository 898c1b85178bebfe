import routes_table


def test_the_tables_of_routes_are_those_of_the_tests():
    (section,) = routes_table.MARK.finditer(routes_table.README.read_text(encoding="utf-8"))
    assert routes_table.render() in section[0], "python tests/routes_table.py makes them anew"
