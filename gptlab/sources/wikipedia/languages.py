"""What a dump does not say about its wiki: link trails, older namespace names, language codes, foreign prefixes.

Site info gives the names that a wiki uses now; the aliases that its older pages still use, and which letters
join a link (`[[cat]]s`), live in MediaWiki's message files alone, so the larger wikis' are kept here as a table.

Source: https://www.mediawiki.org/wiki/Help:Links#linktrail and the message files of MediaWiki 1.41.
"""

_FRENCH = "a-zàâçéèêîôûäëïöüùÇÉÂÊÎÔÛÄËÏÖÜÀÈÙ"
_RUSSIAN = "a-zабвгдеёжзийклмнопрстуфхцчшщъыьэюя"
_NONE = ""

LINK_TRAILS: dict[str, str] = {
    "ar": "a-zء-ي",
    "arz": "a-zء-ي",
    "be": "a-zабвгґджзеёжзійклмнопрстуўфхцчшыьэюяćčłńśšŭźž",
    "bg": "a-zабвгдежзийклмнопрстуфхцчшщъыьэюя",
    "ca": "a-zàèéíòóúç·ïü'",
    "cs": "a-záčďéěíňóřšťúůýž",
    "da": "a-zæøå",
    "de": "äöüßa-z",
    "el": "a-zαβγδεζηθικλμνξοπρστυφχψωςΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩάέήίόύώϊϋΐΰΆΈΉΊΌΎΏΪΫ",
    "eo": "a-zĉĝĥĵŝŭĈĜĤĴŜŬ",
    "es": "a-záéíóúñ",
    "et": "äöõšüža-z",
    "fa": "ابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی\u200c",
    "fi": "a-zäö",
    "fr": _FRENCH + "œŒ",
    "he": "a-zא-ת",
    "hi": "a-z\u0900-\u0963\u0966-\u097f",
    "hr": "čšžćđßa-z",
    "hu": "a-záéíóúöüőűÁÉÍÓÚÖÜŐŰ",
    "hy": "a-zաբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆև«»",
    "is": "áðéíóúýþæöa-z-–",
    "it": "a-zàéèíîìóòúù",
    "ja": _NONE,
    "ka": "a-zაბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰ“»",
    "lt": "a-ząčęėįšųūž",
    "nb": "æøåa-z",
    "nl": "a-zäöüïëéèà",
    "no": "æøåa-z",
    "pl": "a-zęóąśłżźćńĘÓĄŚŁŻŹĆŃ",
    "pt": "áâãàéêẽçíòóôõúüűũa-z",
    "ro": "a-zăâîşţșțĂÂÎŞŢȘȚ",
    "ru": _RUSSIAN,
    "sk": "a-záäčďéíľĺňóôŕšťúýž",
    "sl": "a-zčćđžš",
    "sr": "abvgdđežzijklljmnnjoprstćufhcčdžšабвгдђежзијклљмнњопрстћуфхцчџш",
    "sv": "a-zåäöéÅÄÖÉ",
    "tr": "a-zÇĞçğİıÖöŞşÜüÂâÎîÛû",
    "uk": "a-zабвгґдеєжзиіїйклмнопрстуфхцчшщьюяёъы“»",
    "vi": _FRENCH,
    "wuu": _NONE,
    "yue": _NONE,
    "zh": _NONE,
}
"""Characters (as a regular-expression class) that join the link before them; English letters where none is listed."""

FILE_ALIASES: dict[str, str] = {
    "ar": "صورة ملف",
    "bn": "চিত্র",
    "ca": "Imatge Fitxer",
    "cs": "Soubor Obrázek",
    "da": "Billede Fil",
    "de": "Bild Datei",
    "el": "Εικόνα Αρχείο",
    "es": "Imagen Archivo",
    "fa": "تصویر پرونده",
    "fi": "Kuva Tiedosto",
    "fr": "Fichier Image",
    "he": "תמונה קובץ",
    "hi": "चित्र",
    "hu": "Kép Fájl",
    "id": "Berkas Gambar",
    "it": "Immagine",
    "ja": "画像 ファイル",
    "ko": "그림 파일",
    "nl": "Afbeelding Bestand",
    "no": "Bilde Fil",
    "pl": "Grafika Plik",
    "pt": "Imagem Ficheiro Arquivo",
    "ro": "Imagine Fișier",
    "ru": "Изображение Файл",
    "sv": "Bild Fil",
    "tr": "Resim Dosya",
    "uk": "Зображення Файл",
    "vi": "Hình Tập_tin",
    "zh": "图像 圖像 檔案 文件 图片 圖片 档案",
}
"""Names of the file namespace, present and past, by language."""

_LANGUAGE_CODES = """
    aa ab ace ady af ak als alt am ami an ang ann anp ar arc ary arz as ast atj av avk awa ay az azb ba ban
    bar bat-smg bbc bcl bdr be be-tarask be-x-old bew bg bh bi bjn blk bm bn bo bpy br bs btm bug bxr ca
    cbk-zam cdo ce ceb ch cho chr chy ckb co cr crh cs csb cu cv cy da dag de dga din diq dsb dtp dty dv dz ee
    el eml en eo es et eu ext fa fat ff fi fiu-vro fj fo fon fr frp frr fur fy ga gag gan gcr gd gl glk gn gom
    gor got gpe gsw gu guc gur guw gv ha hak haw he hi hif ho hr hsb ht hu hy hyw hz ia iba id ie ig igl ii ik
    ilo inh io is it iu ja jam jbo jv ka kaa kab kbd kbp kcg kg kge ki kj kk kl km kn knc ko koi kr krc ks ksh
    ku kus kv kw ky la lad lb lbe lez lfn lg li lij lld lmo ln lo lrc lt ltg lv lzh mad mai map-bms mdf mg mh
    mhr mi min mk ml mn mni mnw mo mos mr mrj ms mt mus mwl my myv mzn na nah nan nap nb nds nds-nl ne new ng
    nia nl nn no nov nqo nr nrm nso nup nv ny oc olo om or os pa pag pam pap pcd pcm pdc pdt pfl pi pih pl pms
    pnb pnt ps pt pwn qu rki rm rmy rn ro roa-rup roa-tara rsk ru rue rup rw sa sah sat sc scn sco sd se sg
    sgs sh shi shn shy si simple sk skr sl sm smn sn so sq sr srn ss st stq su sv sw syl szl szy ta tay tcy
    tdd te tet tg th ti tig tk tl tly tn to tpi tr trv ts tt tum tw ty tyv udm ug uk ur uz ve vec vep vi vls
    vo vro wa war wo wuu xal xh xmf yi yo yue za zea zgh zh zh-classical zh-cn zh-min-nan zh-tw zh-yue zu
"""
LANGUAGE_CODES = frozenset(_LANGUAGE_CODES.split())
"""Prefixes of other Wikipedias: such a link is navigation, unless a colon leads it."""

_INTERWIKI_PREFIXES = """
    advisory arxiv b bugzilla c chapter cite commons d doi foundation google hdl iarchive imdbname imdbtitle
    incubator irc m mailarchive mediawikiwiki meta metawiki metawikimedia metawikipedia mw n oeis
    oldwikisource orcid otrswiki outreach phab phabricator pmid q rfc s sourceforge species spcom strategy
    testwiki toollabs toolforge tools v voy w wikia wikibooks wikidata wikimedia wikinews wikipedia wikiquote
    wikisource wikispecies wikispot wikitech wikiversity wikivoyage wikt wiktionary wmf
"""
INTERWIKI_PREFIXES = frozenset(_INTERWIKI_PREFIXES.split())
"""Prefixes of sister and outside projects: the words stay, the link goes."""
