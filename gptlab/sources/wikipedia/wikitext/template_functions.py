"""Renderers that a pattern cannot say: dates, numbers, languages, formulas, ships, quotations."""

import re
from collections.abc import Callable

from gptlab.sources.wikipedia.wikitext.templates import Arguments

_MONTHS_TEXT = "January February March April May June July August September October November December"
_MONTHS = _MONTHS_TEXT.split()
_SUPERSCRIPTS = str.maketrans("0123456789+-−–=()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁻⁼⁽⁾ⁿ")
_SUBSCRIPTS = str.maketrans("0123456789+-−–=()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₋₌₍₎")
_RAISED = re.compile(r"[0-9+\-−–=()n]+")
_LOWERED = re.compile(r"[0-9+\-−–=()]+")


def superscript(text: str) -> str:
    """Digits and signs raised, where Unicode can; other text as it is.

    >>> superscript("-12"), superscript("th")
    ('⁻¹²', 'th')
    """
    return text.translate(_SUPERSCRIPTS) if _RAISED.fullmatch(text) else text


def subscript(text: str) -> str:
    """Digits and signs lowered, where Unicode can; other text as it is."""
    return text.translate(_SUBSCRIPTS) if _LOWERED.fullmatch(text) else text


def _date(parts: tuple[str, ...], day_first: bool) -> str:
    numbers = [part for part in parts if part]
    if not numbers or not numbers[0].isdecimal():
        return numbers[0] if numbers else ""
    year = numbers[0]
    month = numbers[1] if len(numbers) > 1 else ""
    if not month.isdecimal():
        return " ".join(filter(None, (" ".join(numbers[2:3]), month, year)))
    if not 1 <= int(month[:4]) <= 12:
        return year
    name = _MONTHS[int(month) - 1]
    if len(numbers) < 3 or not numbers[2].isdecimal():
        return f"{name} {year}"
    day = numbers[2].lstrip("0")
    return f"{day} {name} {year}" if day_first else f"{name} {day}, {year}"


def date(arguments: Arguments) -> str:
    """`{{birth date|1809|2|12}}`: the day, in the order the page asks for.

    >>> date(Arguments("birth date", ("1809", "2", "12"), {"df": "y"}))
    '12 February 1809'
    """
    return _date(arguments.positional[:3], bool(arguments.get("df")))


def date_and_age(arguments: Arguments) -> str:
    """`{{death date and age|1865|4|15|1809|2|12}}`: the day of death and the age at it."""
    died, born = arguments.positional[:3], arguments.positional[3:6]
    text = _date(died, bool(arguments.get("df")))
    numbers = [int(part) for part in (*died, *born) if part.isdecimal() and len(part) < 6]
    if len(numbers) != 6:
        return text
    age = numbers[0] - numbers[3] - ((numbers[1], numbers[2]) < (numbers[4], numbers[5]))
    return f"{text} (aged {age})"


def year_span(arguments: Arguments) -> str:
    """`{{reign|1066|1087}}`: the first two arguments as a span."""
    return "–".join(arguments.positional[:2])


def as_of(arguments: Arguments) -> str:
    """`{{as of|2014|4|lc=y}}`."""
    if not arguments.positional:
        return ""
    lead = arguments.get("alt") or ("since" if arguments.get("since") else "as of")
    if not arguments.get("lc") and not arguments.get("alt"):
        lead = lead.capitalize()
    return lead if arguments.get("alt") else f"{lead} {_date(arguments.positional[:3], True)}"


def number_with_unit(arguments: Arguments) -> str:
    """`{{val|1.00794|(7)|u=g|e=3}}`: a number, its uncertainty, power of ten and unit."""
    values = arguments.positional
    text = values[0] if values else ""
    if len(values) > 1 and values[1]:
        text += values[1] if values[1].startswith("(") else f" ± {values[1]}"
    if exponent := arguments.get("e"):
        text += "×10" + superscript(exponent.replace("−", "-"))
    before, after = arguments.get("p"), arguments.get("u") or arguments.get("ul") or arguments.get("s")
    return f"{before}{text} {after}".strip() if text else ""


def fraction(arguments: Arguments) -> str:
    """`{{frac|1|2}}` is 1⁄2, `{{frac|3|1|2}}` 3 1⁄2, `{{frac|3}}` 1⁄3."""
    values = [value for value in arguments.positional if value][:3]
    if len(values) == 1:
        return f"1⁄{values[0]}"
    return f"{' '.join([*values[:-2], ''])}{'⁄'.join(values[-2:])}" if values else ""


def power_of_ten(arguments: Arguments) -> str:
    """`{{e|6}}` is ×10⁶."""
    exponent = arguments.get("1")
    return "×10" + superscript(exponent.replace("−", "-")) if exponent else ""


def formula(arguments: Arguments) -> str:
    """`{{chem|H|2|O}}` is H₂O: numbers lowered, a charge at the end raised."""
    parts = []
    for index, part in enumerate(arguments.positional):
        last = index == len(arguments.positional) - 1
        if last and index and part[-1:] in ("+", "-", "−", "–"):
            parts.append(superscript(part))
        else:
            parts.append(subscript(part) if index else superscript(part) if part.isdecimal() else part)
    return "".join(parts)


def nihongo(arguments: Arguments) -> str:
    """`{{nihongo|bayonet|銃剣|jūken}}`: English (Japanese, romanised)."""
    english, *others = (*arguments.positional, "", "", "")[:3]
    if not english:
        english, others = (others[0], others[1:]) if others[0] else (others[1], [])
    inside = ", ".join(filter(None, [others[0] if others else "", *others[1:], arguments.get("4")]))
    return f"{english} ({inside})" if inside and english else english or inside


def chinese(arguments: Arguments) -> str:
    """`{{zh|s=汉字|t=漢字|p=hànzì}}` with its labels."""
    labels = {"c": "Chinese", "s": "simplified Chinese", "t": "traditional Chinese", "p": "pinyin",
              "w": "Wade–Giles", "j": "Jyutping", "l": "lit."}  # fmt: skip
    parts = [f"{label}: {arguments.get(key)}" for key, label in labels.items() if arguments.get(key)]
    return "; ".join(parts) or arguments.get("1")


_IPA_WORDS_TEXT = "lang pron local us uk ipa en small audio icon all"
_IPA_WORDS = frozenset(_IPA_WORDS_TEXT.split())


def ipa_segments(arguments: Arguments) -> str:
    """`{{IPAc-en|æ|l|ˈ|b|iː}}`: the sounds, joined."""
    sounds = [part for part in arguments.positional if part and part.lower() not in _IPA_WORDS]
    sounds = [sound for sound in sounds if not sound.lower().endswith((".ogg", ".wav", ".oga"))]
    return "/" + "".join(sounds).replace("_", " ").replace("-", "") + "/" if sounds else ""


def ipa(arguments: Arguments) -> str:
    """`{{IPA-fr|paʁi}}`, `{{IPA|/a/}}`, `{{IPA|fr|paʁi}}`: the sounds."""
    values = arguments.positional
    if arguments.name == "ipa":
        has_code = len(values) > 1 and re.fullmatch(r"[a-z]{2,3}(-\w+)?", values[0])
        return (f"[{values[1]}]" if has_code else values[0]) if values else ""
    return f"[{values[0]}]" if values and values[0] else ""


def respelling(arguments: Arguments) -> str:
    """`{{respell|AL|bee|doh}}` is AL-bee-doh."""
    return "-".join(filter(None, arguments.positional))


def joined(separator: str) -> Callable[[Arguments], str]:
    """All positional arguments with `separator` between them."""
    return lambda arguments: separator.join(filter(None, arguments.positional))


def bullets(arguments: Arguments) -> str:
    """`{{ubl|a|b}}` and its kin as a list."""
    items = [item for item in arguments.positional if item]
    if len(items) == 1 and items[0].startswith(("*", "#", ":", ";")):
        return f"\n{items[0]}\n"
    return "".join(f"\n* {' '.join(item.split())}" for item in items) + "\n" if items else ""


def content(arguments: Arguments) -> str:
    """A wrapper such as `{{div col|content=...}}`: what it wraps, on lines of its own."""
    inside = arguments.get("content") or arguments.get("1")
    return f"\n{inside}\n" if "\n" in inside or inside.startswith(("*", "#", ":", ";")) else inside


def quotation(arguments: Arguments) -> str:
    """`{{quote|words|speaker|source}}` as a block quotation, with who said it."""
    words = arguments.get("text") or arguments.get("quote") or arguments.get("1")
    speaker = arguments.get("author") or arguments.get("sign") or arguments.get("2")
    source = arguments.get("source") or arguments.get("title") or arguments.get("3")
    if arguments.name in ("cquote", "rquote", "quote box", "pull quote", "quotation", "pullquote"):
        speaker = arguments.get("author") or arguments.get("sign") or (arguments.get("4") or speaker)
        source = arguments.get("source") or arguments.get("5") or source
        speaker = "" if re.fullmatch(r"\d+(px)?|left|right|center", speaker) else speaker
        source = "" if re.fullmatch(r"\d+(px)?|left|right|center", source) else source
    by = ", ".join(filter(None, (speaker, source)))
    if not words:
        return ""
    return f"\n<blockquote>\n{words}\n" + (f"\n— {by}\n" if by else "") + "</blockquote>\n"


def ship(arguments: Arguments) -> str:
    """`{{HMS|Victory|1765}}` and `{{ship|HMS|Victory}}` as a link to the ship."""
    values = arguments.positional
    prefix, rest = (
        (values[0], values[1:]) if arguments.name == "ship" and values else (arguments.name.upper(), values)
    )
    if not rest or not rest[0]:
        return ""
    title = " ".join(filter(None, (prefix, rest[0])))
    shown = f"{prefix} ''{rest[0]}''".strip()
    number = f" ({rest[1]})" if len(rest) > 1 and rest[1] else ""
    return f"[[{title}{number}|{shown}]]"


def linked(arguments: Arguments) -> str:
    """`{{flag|France}}`, `{{annotated link|Tea}}`, `{{ill|Name|fr|Nom}}`: the first argument as a link."""
    title = arguments.get("1")
    label = arguments.get("lt") or arguments.get("name")
    if not title or "[" in title or "\n" in title:
        return title
    return f"[[{title}|{label}]]" if label else f"[[{title}]]"


def sortable_name(arguments: Arguments) -> str:
    """`{{sortname|Ada|Lovelace}}` as a link to the person."""
    name = " ".join(filter(None, arguments.positional[:2]))
    if not name or arguments.get("nolink"):
        return name
    target = arguments.get("3") or (f"{name} ({arguments.get('dab')})" if arguments.get("dab") else name)
    return f"[[{target}|{name}]]"


def marriage(arguments: Arguments) -> str:
    """`{{marriage|Name|1990|2000}}`."""
    years = "–".join(filter(None, arguments.positional[1:3]))
    name = arguments.get("1")
    return f"{name} (m. {years})" if name and years else name


def money(sign: str) -> Callable[[Arguments], str]:
    """`{{US$|12}}`: a sum with its sign."""
    return lambda arguments: sign + arguments.get("1") if arguments.get("1") else ""


def nuclide(arguments: Arguments) -> str:
    """`{{SimpleNuclide|lithium|7}}` is lithium-7."""
    return "-".join(filter(None, arguments.positional[:2]))


def lower(arguments: Arguments) -> str:
    """`{{lc:TEXT}}`."""
    return arguments.get("1").lower()


def upper(arguments: Arguments) -> str:
    """`{{uc:text}}`."""
    return arguments.get("1").upper()


def formatted_number(arguments: Arguments) -> str:
    """`{{formatnum:12345}}` is 12,345."""
    value = arguments.get("1")
    whole, dot, rest = value.partition(".")
    digits = whole.lstrip("-").replace(",", "")
    if not digits.isdecimal() or not digits.isascii() or len(digits) > 40:
        return value
    return ("-" if whole.startswith("-") else "") + f"{int(digits):,}" + dot + rest


_NO_FACT = re.compile(
    r"image|imagen|hình|logo|flag|seal|map|signature|style|colou?r|width|size|upright|\balt\b|caption"
)
_FILE = re.compile(r"\.(?:jpe?g|png|svg|gif|tiff?|webp|og[gv]|webm)\s*$|^\[\[(?:file|image):", re.IGNORECASE)
_LINES = re.compile(r"\s*\n[*#:;\s]*")


def fields(arguments: Arguments) -> str:
    """`{{Infobox river|length_km=12|image=x.jpg}}`: the named fields as a list, but for pictures and looks.

    >>> fields(Arguments("infobox river", (), {"length_km": "12", "image": "x.jpg", "mouth": "\\n* Sea\\n* Lake"}))
    '\\n* length km: 12\\n* mouth: Sea, Lake\\n'
    """
    lines = []
    for key, written in arguments.named.items():
        value = _LINES.sub(", ", written.strip().lstrip("*#:; "))
        if value and not _NO_FACT.search(key) and not _FILE.search(value):
            lines.append(f"\n* {key.replace('_', ' ')}: {value}")
    return "".join(lines) + "\n" if lines else ""
