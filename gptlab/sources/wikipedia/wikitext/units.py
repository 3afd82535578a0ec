"""`{{convert}}`: a measure in its own unit and in another, rounded as sensibly as the original was.

Source: https://en.wikipedia.org/wiki/Template:Convert (rounding: to the precision of the input, but to no fewer than
two significant digits).
"""

import math
import re

import attrs

from gptlab.sources.wikipedia.wikitext.templates import Arguments


@attrs.frozen
class _Unit:
    symbol: str
    one: str
    many: str
    factor: float
    kind: str
    other: str
    offset: float = 0.0


_TABLE = """
mm|mm|millimetre|millimetres|0.001|length|in
cm|cm|centimetre|centimetres|0.01|length|in
m|m|metre|metres|1|length|ft
km|km|kilometre|kilometres|1000|length|mi
in|in|inch|inches|0.0254|length|mm
ft|ft|foot|feet|0.3048|length|m
yd|yd|yard|yards|0.9144|length|m
mi|mi|mile|miles|1609.344|length|km
nmi|nmi|nautical mile|nautical miles|1852|length|km
fathom|fathom|fathom|fathoms|1.8288|length|m
ly|ly|light-year|light-years|9.4607e15|length|pc
pc|pc|parsec|parsecs|3.0857e16|length|ly
AU|AU|astronomical unit|astronomical units|149597870700|length|km
um|μm|micrometre|micrometres|1e-6|length|in
nm|nm|nanometre|nanometres|1e-9|length|in
m2|m²|square metre|square metres|1|area|sqft
cm2|cm²|square centimetre|square centimetres|0.0001|area|sqin
km2|km²|square kilometre|square kilometres|1e6|area|sqmi
ha|ha|hectare|hectares|1e4|area|acre
acre|acres|acre|acres|4046.8564224|area|ha
sqft|sq ft|square foot|square feet|0.09290304|area|m2
sqin|sq in|square inch|square inches|0.00064516|area|cm2
sqyd|sq yd|square yard|square yards|0.83612736|area|m2
sqmi|sq mi|square mile|square miles|2589988.110336|area|km2
g|g|gram|grams|0.001|mass|oz
kg|kg|kilogram|kilograms|1|mass|lb
t|t|tonne|tonnes|1000|mass|LT
oz|oz|ounce|ounces|0.028349523125|mass|g
lb|lb|pound|pounds|0.45359237|mass|kg
st|st|stone|stone|6.35029318|mass|kg
LT|long tons|long ton|long tons|1016.0469088|mass|t
ST|short tons|short ton|short tons|907.18474|mass|t
L|L|litre|litres|0.001|volume|impgal
ml|ml|millilitre|millilitres|1e-6|volume|impoz
m3|m³|cubic metre|cubic metres|1|volume|cuft
km3|km³|cubic kilometre|cubic kilometres|1e9|volume|cumi
cm3|cm³|cubic centimetre|cubic centimetres|1e-6|volume|cuin
cuft|cu ft|cubic foot|cubic feet|0.028316846592|volume|m3
cuin|cu in|cubic inch|cubic inches|1.6387064e-5|volume|cm3
cumi|cu mi|cubic mile|cubic miles|4168181825.44|volume|km3
impgal|imp gal|imperial gallon|imperial gallons|0.00454609|volume|L
USgal|US gal|US gallon|US gallons|0.003785411784|volume|L
impoz|imp fl oz|imperial fluid ounce|imperial fluid ounces|2.84130625e-5|volume|ml
USoz|US fl oz|US fluid ounce|US fluid ounces|2.95735295625e-5|volume|ml
bbl|bbl|barrel|barrels|0.158987294928|volume|m3
km/h|km/h|kilometre per hour|kilometres per hour|0.27777777777777778|speed|mph
mph|mph|mile per hour|miles per hour|0.44704|speed|km/h
m/s|m/s|metre per second|metres per second|1|speed|ft/s
ft/s|ft/s|foot per second|feet per second|0.3048|speed|m/s
km/s|km/s|kilometre per second|kilometres per second|1000|speed|mi/s
mi/s|mi/s|mile per second|miles per second|1609.344|speed|km/s
kn|kn|knot|knots|0.51444444444444444|speed|km/h
W|W|watt|watts|1|power|hp
kW|kW|kilowatt|kilowatts|1000|power|hp
MW|MW|megawatt|megawatts|1e6|power|hp
hp|hp|horsepower|horsepower|745.69987158227|power|kW
PS|PS|metric horsepower|metric horsepower|735.49875|power|kW
Pa|Pa|pascal|pascals|1|pressure|psi
kPa|kPa|kilopascal|kilopascals|1000|pressure|psi
MPa|MPa|megapascal|megapascals|1e6|pressure|psi
bar|bar|bar|bars|1e5|pressure|kPa
psi|psi|pound per square inch|pounds per square inch|6894.757293168|pressure|kPa
atm|atm|standard atmosphere|standard atmospheres|101325|pressure|kPa
J|J|joule|joules|1|energy|cal
kJ|kJ|kilojoule|kilojoules|1000|energy|kcal
cal|cal|calorie|calories|4.184|energy|J
kcal|kcal|kilocalorie|kilocalories|4184|energy|kJ
N|N|newton|newtons|1|force|lbf
kN|kN|kilonewton|kilonewtons|1000|force|lbf
lbf|lbf|pound-force|pounds-force|4.4482216152605|force|N
/km2|per square kilometre|inhabitant per square kilometre|inhabitants per square kilometre|1e-6|density|/sqmi
/sqmi|per square mile|inhabitant per square mile|inhabitants per square mile|3.8610215854e-7|density|/km2
K|K|kelvin|kelvins|1|temperature|C
C|°C|degree Celsius|degrees Celsius|1|temperature|F
F|°F|degree Fahrenheit|degrees Fahrenheit|0.55555555555555556|temperature|C
"""
_UNITS = {
    fields[0]: _Unit(fields[1], fields[2], fields[3], float(fields[4]), fields[5], fields[6])
    for fields in (line.split("|") for line in _TABLE.strip().splitlines())
}
_UNITS["C"] = attrs.evolve(_UNITS["C"], offset=273.15)
_UNITS["F"] = attrs.evolve(_UNITS["F"], offset=459.67 * 5 / 9)
_SAME = {
    "kilometers": "km", "kilometres": "km", "km²": "km2", "sqkm": "km2", "sqm": "m2", "miles": "mi", "mile": "mi",
    "feet": "ft", "foot": "ft", "meters": "m", "metres": "m", "metre": "m", "meter": "m", "inch": "in",
    "inches": "in", "pound": "lb", "pounds": "lb", "lbs": "lb", "kmh": "km/h", "kph": "km/h", "acres": "acre",
    "hectare": "ha", "hectares": "ha", "°C": "C", "°F": "F", "l": "L", "liter": "L", "litre": "L",
    "U.S.gal": "USgal",
    "knot": "kn", "knots": "kn", "tonnes": "t", "MT": "t", "LY": "ly", "sq mi": "sqmi", "sq ft": "sqft",
    "mi2": "sqmi",
    "ft2": "sqft", "cumt": "m3", "μm": "um", "µm": "um", "PD/sqkm": "/km2", "PD/sqmi": "/sqmi", "cc": "cm3",
    "mL": "ml", "au": "AU", "yards": "yd", "ounces": "oz", "grams": "g", "kilograms": "kg", "ST": "ST",
}  # fmt: skip
_NUMBER = re.compile(r"[-+−]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d{1,3})?")
_BETWEEN = {"-": "–", "–": "–", "to": " to ", "and": " and ", "by": " by ", "x": " by ", "×": " × ", "or": " or ",
            "+/-": " ± ", "±": " ± ", "to(-)": " to ", "and(-)": " and "}  # fmt: skip


def convert(arguments: Arguments) -> str:
    """`{{convert|1300|mi|km}}` as prose.

    >>> convert(Arguments("convert", ("1300", "mi", "km")))
    '1,300 miles (2,100 km)'
    >>> convert(Arguments("convert", ("5", "to", "10", "kg", "lb"), {"abbr": "on"}))
    '5 to 10 kg (11 to 22 lb)'
    """
    values, between, rest = _measures(arguments.positional)
    if not values or not rest:
        return " ".join(arguments.positional[:2])
    name = _SAME.get(rest[0], rest[0])
    unit = _UNITS.get(name)
    shown = between.join(_grouped(value) for value in values)
    if unit is None:
        return f"{shown} {rest[0]}"
    abbreviated = arguments.name == "cvt" or arguments.get("abbr") in ("on", "values", "~")
    adjective = arguments.get("adj") in ("on", "mid", "pre")
    source = f"{shown} {unit.symbol}" if abbreviated or unit.offset else _named(shown, values, unit, adjective)
    digits = int(rest[2]) if len(rest) > 2 and re.fullmatch(r"-?\d", rest[2]) else None
    target_name = _SAME.get(rest[1], rest[1]) if len(rest) > 1 and rest[1] else unit.other
    targets = [_UNITS[each] for each in re.split(r"[ +]", target_name) if each in _UNITS]
    others = []
    for target in targets:
        if target.kind == unit.kind:
            numbers = between.join(_converted(value, unit, target, digits) for value in values)
            others.append(f"{numbers} {target.symbol}")
    if arguments.get("disp") in ("out", "output only") and others:
        return others[0]
    return f"{source} ({'; '.join(others)})" if others else source


def _measures(positional: tuple[str, ...]) -> tuple[list[str], str, list[str]]:
    """The numbers, the word between them, and what follows."""
    values: list[str] = []
    between = ""
    index = 0
    while index < len(positional) and index < 9:
        value = positional[index].replace("&minus;", "-").replace("−", "-").strip()
        if not _NUMBER.fullmatch(value):
            break
        values.append(value)
        if index + 1 < len(positional) and positional[index + 1] in _BETWEEN:
            between = _BETWEEN[positional[index + 1]]
            index += 2
        else:
            return values, between, list(positional[index + 1 :])
    return values, between, list(positional[index:])


def _named(shown: str, values: list[str], unit: _Unit, adjective: bool) -> str:
    if adjective:
        return f"{shown}-{unit.one.replace(' ', '-')}"
    return f"{shown} {unit.one if values == ['1'] else unit.many}"


def _grouped(value: str) -> str:
    """Digits in groups of three, as written otherwise."""
    whole, dot, rest = value.replace(",", "").partition(".")
    sign, digits = ("−", whole[1:]) if whole[:1] == "-" else ("", whole)
    return sign + (f"{int(digits):,}" if digits.isdecimal() and len(digits) < 40 else digits) + dot + rest


def _converted(value: str, unit: _Unit, target: _Unit, digits: int | None) -> str:
    number = float(value.replace(",", ""))
    result = (number * unit.factor + unit.offset - target.offset) / target.factor
    if digits is None:
        digits = _precision(value, number, result, unit, target)
    digits = max(-15, min(15, digits))
    rounded = round(result, digits)
    if not math.isfinite(rounded) or abs(rounded) > 1e30:
        return f"{result:g}"
    return f"{rounded:,.{max(0, digits)}f}".replace("-", "−")


def _precision(value: str, number: float, result: float, unit: _Unit, target: _Unit) -> int:
    """Decimals (negative: zeros before the point) that say no more than the input did."""
    whole, _, decimals = value.replace(",", "").partition(".")
    given = len(decimals) if decimals else -(len(whole) - len(whole.rstrip("0"))) if number else 0
    if unit.kind == "temperature":
        return max(given, 0)
    least = 1 - math.floor(math.log10(abs(result))) if result and math.isfinite(result) else 0
    return max(given - math.floor(math.log10(target.factor and unit.factor / target.factor) + 0.5), least)
