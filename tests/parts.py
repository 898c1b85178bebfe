"""Parts of a report by their names, for tests."""


def facts(report):
    """Texts of the facts; of several with one name the last."""
    return {fact.name: fact.text for fact in report.facts}


def headlines(report):
    """Texts of the headlines by their words, in their order."""
    return {headline.word: headline.text for headline in report.headlines}


def tones(report):
    """Tones of the headlines by their words."""
    return {headline.word: str(headline.tone) for headline in report.headlines}


def tables(report):
    """Frames of the tables by their titles, in their order."""
    return {table.title: table.frame for table in report.tables}
