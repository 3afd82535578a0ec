"""Which templates carry prose, and how they read. A user's own patterns come before these.

A pattern serves most (`pattern` in templates.py says how); functions serve the rest. What is in neither table is
dropped: infoboxes, navigation, citations, maintenance.
"""

import functools
import re
from collections.abc import Callable

from gptlab.sources.wikipedia.wikitext import template_functions as functions
from gptlab.sources.wikipedia.wikitext.templates import Arguments, Renderer, pattern, template_name
from gptlab.sources.wikipedia.wikitext.units import convert

_PATTERNS = {
    "{1}": """
        nowrap; nobr; small; smaller; big; large; larger; midsize; resized; abbr; tooltip; center; centre;
        nobold; sc; smallcaps; sic; not a typo; typo; unicode; script; polytonic; hebrew; mono; mvar; math;
        bigmath; code; kbd; key press; keypress; samp; var; strong; vanchor; visible anchor; linktext; grc; he;
        ar; ru; pre2; format price; nts; number table sorting; ntsh; no wrap; nowraplinks; dropcap; allow wrap;
        longitem; sronly; italic; noitalic; noitalics; nobreak; hover title; iast; runic; syriac; coptic;
        decade link; snamei; asiantitle; proper name; thinspace; căn giữa; em; ruby-ja; strikethrough; u; del;
        ins; underline; overline; bold; b; i; bartext; text""",
    "{2}": """
        lang; wikt-lang; wt; color; colour; font color; fontcolor; font colour; bgcolor; background color; font;
        resize; rtl-lang; script/arab; sort; sorting; href; native name; native phrase; abbrlink; lang-text;
        mono color; link language; tq2; displaytext; background""",
    "{3|2|1}": "transl; transliteration; tlit; translit; xlit; sortdate",
    "<sup>{1}</sup>": "sup; superscript; smallsup",
    "<sub>{1}</sub>": "sub; subscript",
    "c. {date|1}": "circa; c.; approx; approximately; ca.",
    "fl. {1}": "fl.; floruit; fl",
    "r. {1}–{2}": "reign; r.; ruled",
    "b. {1}": "b.; born; born in",
    "d. {1}": "d.; died",
    "⟨{1}⟩": "angbr; angle bracket; angbr ipa; angbripa; orth; grapheme; angle",
    "'{1}'": "gloss; single quote; single quotes; sgloss",
    '"{1}"': "double quote; double quotes; qq; dquote; tq; talk quote inline; quoted",
    "({1})": "paren; parentheses",
    "[{1}]": "bracket; brackets; bracketed; ipa-all; interpolate",
    "{1} million years ago": "mya; ma; million years ago; mya range",
    "{1} {2}": "bibleverse; bibleref; bibleref2; bibleverse-nb; bibleverse with br; quran-usc; bv",
    "'''{1}'''": "visible bold",
    "''{1}''": "emphasis; italics; ital; title italic; sn; zoo; work; foreign",
    "${1}": "dollar",
    "{1}°": "deg; degree; degrees",
    "{1}%": "percent; pct",
    "No. {1}": "number; numero; numero sign",
    "vol. {1}": "vol.; volume",
    "RFC {1}": "ietf rfc; rfc",
    "ISBN {1}": "isbn; isbnt",
    "{1} gauge": "railgauge; track gauge; rail gauge; rg",
    "[[{1}|{2|1}]]": "pslink; wikilink",
    "{2|1}": "abbrv; dated",
    "/{1}/": "ipaslink; ipa slink; phoneme",
    " – ": "spaced ndash; snd; spnd; sndash; spaced en dash; snds; spndash; dash",
    "–": "ndash; en dash; endash; nsndns; ndashd",
    " — ": "spaced mdash; spaced em dash; mdashb; mdsp",
    "—": "mdash; em dash; emdash; mdashd",
    " ": "nbsp; space; spaces; nnbsp; thin space; thinsp; hair space; hairsp; figure space",
    "·": "·; middot; dot; bullet; bull; •; interpunct; middle dot",
    "'s": "'s",
    "'": "'; apostrophe; apos",
    "' \"": """' \"""",
    "\" '": """\" '""",
    "-\"": """-\"""",
    "ʻ": "okina; hamza; ʻokina",
    "=": "=; equals",
    "&#124;": "!; pipe; vertical bar; bar",
    "&#91;": "!(; (bracket; bracket-left",
    "&#93;": "); )!",
    "*": "*; asterisk",
    "&#35;": "hash; number sign",
    "⇌": "eqm; equilibrium; eqm arrow",
    "→": "arrow; rarr; right arrow",
    "C": "carbon",
    "H": "hydrogen",
    "O": "oxygen",
    "N": "nitrogen",
    "†": "dagger",
    "‡": "double dagger",
    "♭": "flat; music flat",
    "♯": "sharp; music sharp",
    "£{1}": "gbp; £; pound sterling; gbpconvert",
    "€{1}": "euro; €; eur",
    "¥{1}": "yen; ¥; jpy; cny; jpyconvert",
    "US${1}": "us$; usd; us dollar; usdcny",
    "A${1}": "a$; aud; au$",
    "C${1}": "c$; cad$",
    "₹{1}": "inr; indian rupee; ₹; inrconvert",
    "\n|}\n": "end; s-end; table end; col-end table; fb end; jctbtm; aftab; end table; cuối",
    "<br>": "break; br; crlf; -br",
}  # fmt: skip
_FUNCTIONS: dict[Callable[[Arguments], str], str] = {
    convert: "convert; cvt; convert/spell; chuyển đổi; chuyển; convinfobox",
    functions.date: """
        birth date; birth date and age; start date; start date and age; end date; dts; date table sorting;
        film date; date; birth-date; birth-date and age; death date; death-date; bda; dob; launch date;
        release date; start-date; end-date; birth year and age; birth year; death year; isodate; ymd;
        opening date; ngày sinh; ngày sinh và tuổi; ngày mất; ngày bắt đầu; ngày bắt đầu và tuổi; tính đến ngày""",
    functions.date_and_age: "death date and age; death-date and age; dda; ngày mất và tuổi; death year and age",
    functions.as_of: "as of; asof",
    functions.number_with_unit: "val; value; physval",
    functions.fraction: "frac; fraction; sfrac; fracn; tfrac",
    functions.power_of_ten: "e; exp; esp; 10^; e-sp; x10^; pow10",
    functions.formula: "chem; chem2; chemf; nuclide; formula; chem/link; ce",
    functions.nuclide: "simplenuclide; simplenuclide2; nuclide2; simple nuclide",
    functions.nihongo: "nihongo; nihongo2; nihongo3; nihongo foot; nihongo krt",
    functions.chinese: "zh; zh-cn; chinese; lang-zh; cjkv",
    functions.ipa: "ipa; ipaq; ipa2; pronunciation; pron",
    functions.respelling: "respell; usdict; pronunciation respelling",
    functions.joined(""): "gaps; gapnum",
    functions.joined(", "): "hlist; cslist; comma separated entries; comma list",
    functions.joined(" · "): "dotlist; dot separated entries",
    functions.bullets: """
        ubl; ubli; unbulleted list; unordered list; bulleted list; bulletedlist; vunblist; ublist; plain list;
        plainlist; flatlist; ordered list; numbered list; blist; ul; startplainlist""",
    functions.content: """
        div col content; columns-list; columns list; colist; multicol content; col-list; column list;
        div col list; flow list; columnslist; indented plainlist; poem""",
    functions.quotation: """
        quote; blockquote; cquote; quotation; quote box; pull quote; pullquote; rquote; bq; centered pull quote;
        epigraph; poemquote; poem quote; verse translation; long quote; centered pull quote; block quote;
        trích dẫn; lời trích; quotebox""",
    functions.ship: "ship; hms; uss; rms; ss; hmas; hmcs; mv; ms; ins; usns; sms; ijn; hmnzs; css",
    functions.linked: """
        flag; flagcountry; flagu; flag country; annotated link; annotated; ill; interlanguage link; illm;
        link-interwiki; interlanguage link multi; flaglink; flag link; lá cờ; army; navy; air force; slink;
        section link; team flag; liên kết đa ngôn ngữ; lkmd""",
    functions.sortable_name: "sortname; sort name; hidden sort name",
    functions.marriage: "marriage; married",
    functions.formatted_number: "formatnum:; formatnum; nfa; numberformat; format num",
    functions.lower: "lc:; lcfirst:",
    functions.upper: "uc:",
}
_LANGUAGES = {
    "en": """
        af Afrikaans; am Amharic; ang Old English; ar Arabic; arc Aramaic; az Azerbaijani; be Belarusian;
        ber Berber; bg Bulgarian; bn Bengali; br Breton; bs Bosnian; ca Catalan; cop Coptic; cs Czech; cy Welsh;
        da Danish; de German; el Greek; en English; eo Esperanto; es Spanish; et Estonian; eu Basque;
        fa Persian; fi Finnish; fr French; fro Old French; ga Irish; gd Scottish Gaelic; gl Galician;
        got Gothic; grc Ancient Greek; gu Gujarati; haw Hawaiian; he Hebrew; hi Hindi; hr Croatian;
        ht Haitian Creole; hu Hungarian; hy Armenian; id Indonesian; is Icelandic; it Italian; iu Inuktitut;
        ja Japanese; jv Javanese; ka Georgian; kk Kazakh; km Khmer; kn Kannada; ko Korean; ku Kurdish;
        ky Kyrgyz; la Latin; lb Luxembourgish; lo Lao; lt Lithuanian; lv Latvian; mi Māori; mk Macedonian;
        ml Malayalam; mn Mongolian; mr Marathi; ms Malay; mt Maltese; my Burmese; nah Nahuatl; nb Norwegian;
        ne Nepali; nl Dutch; nn Norwegian Nynorsk; no Norwegian; oc Occitan; pa Punjabi; pi Pali; pl Polish;
        ps Pashto; pt Portuguese; qu Quechua; ro Romanian; ru Russian; sa Sanskrit; sco Scots;
        sh Serbo-Croatian; si Sinhala; sk Slovak; sl Slovene; so Somali; sq Albanian; sr Serbian; sv Swedish;
        sw Swahili; syc Syriac; ta Tamil; te Telugu; tg Tajik; th Thai; tk Turkmen; tl Tagalog; tr Turkish;
        tt Tatar; uk Ukrainian; ur Urdu; uz Uzbek; vi Vietnamese; yi Yiddish; yo Yoruba; zh Chinese; zu Zulu""",
    "vi": """
        ar tiếng Ả Rập; de tiếng Đức; el tiếng Hy Lạp; en tiếng Anh; es tiếng Tây Ban Nha; fr tiếng Pháp;
        he tiếng Do Thái; hi tiếng Hindi; id tiếng Indonesia; it tiếng Ý; ja tiếng Nhật; ko tiếng Hàn;
        km tiếng Khmer; la tiếng Latinh; lo tiếng Lào; ms tiếng Mã Lai; nl tiếng Hà Lan; pl tiếng Ba Lan;
        pt tiếng Bồ Đào Nha; ru tiếng Nga; sv tiếng Thụy Điển; th tiếng Thái; tr tiếng Thổ Nhĩ Kỳ;
        uk tiếng Ukraina; vi tiếng Việt; zh tiếng Trung""",
}
_LANGUAGES["simple"] = _LANGUAGES["en"]


@functools.lru_cache(maxsize=16)
def _language_names(language: str) -> dict[str, str]:
    pairs = (pair.split(None, 1) for pair in _LANGUAGES.get(language, "").split(";") if pair.strip())
    return {code: name.strip() for code, name in pairs}


def _names(listed: str) -> list[str]:
    return [template_name(name) for name in listed.split(";") if name.strip()]


_INFOBOX = re.compile(
    r".*\binfobox\b|(?:automatic )?taxobox|speciesbox|geobox|chembox|thông tin |hộp thông tin|bảng phân loại"
    r"|карточка|صندوق معلومات|ज्ञानसन्दूक|.*信息框"
)
"""Names of templates that show a page's facts in a box."""


@functools.lru_cache(maxsize=16)
def renderers_for(
    language: str, extra: tuple[tuple[str, str], ...] = (), infoboxes: bool = False
) -> Callable[[str], Renderer | None]:
    """The look-up of a wiki: from a template's name to how it reads, or None for one that is dropped.

    Args:
        language: the wiki's; it names languages in `{{lang-fr|...}}`.
        extra: (template, pattern) pairs of the user's, which come first. An empty pattern drops a template.
        infoboxes: whether the fields of infoboxes are rendered.
    """
    table: dict[str, Renderer] = {}
    for text, names in _PATTERNS.items():
        table.update(dict.fromkeys(_names(names), pattern(text)))
    for function, names in _FUNCTIONS.items():
        table.update(dict.fromkeys(_names(names), function))
    table.update((template_name(name), pattern(text)) for name, text in extra)
    languages = _language_names(language)

    def in_language(arguments: Arguments) -> str:
        values = arguments.positional
        code = arguments.name.removeprefix("lang-").partition("-")[0]
        if arguments.name == "langx":
            code, values = arguments.get("1").partition("-")[0], values[1:]
        text = (values[0] if values else "") or arguments.get("text")
        romanised = next(filter(None, (*values[1:2], arguments.get("translit"))), "")
        if not text:
            return ""
        label = languages.get(code, "")
        text = f"{text}, {romanised}" if romanised else text
        return f"{label}: {text}" if label and arguments.get("label") != "none" else text

    table["langx"] = in_language
    families: dict[str, Renderer] = {
        "lang-": in_language,
        "ipac-": functions.ipa_segments,
        "ipa-": functions.ipa,
        "script/": pattern("{1}"),
    }

    def find(name: str) -> Renderer | None:
        found = table.get(name)
        if found is None and name.startswith(tuple(families)):
            found = next(renderer for start, renderer in families.items() if name.startswith(start))
        if found is None and infoboxes and _INFOBOX.match(name):
            found = functions.fields
        return found

    return find
