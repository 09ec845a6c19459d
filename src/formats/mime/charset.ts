/**
 * Character sets by the names that mail gives them. A name is known if Cyrus 3.6 (with ICU 72)
 * knows it, because the cache says so of each part; what a known one means is left to TextDecoder.
 */

/** Text in one character a byte, decoded. Never throws: what means nothing becomes U+FFFD. */
export type Decode = (text: string) => string;

/** Names of character sets that TextDecoder has under another name. */
const ALIASES: ReadonlyMap<string, string> = table({
  "windows-1252": "88591 iso88591 latin1 windows1252 cp1252 ibm5348",
  "windows-1251": "win1251 cp1251 ansi1251",
  "iso-8859-1": "646 cp819 ibm819 ibm1252 csisolatin1 iso646us isoir100 l1 xiso88591 iso885901",
  "iso-8859-2": "88592 cp912 ibm912 windows28592",
  "iso-8859-3": "88593",
  "iso-8859-4": "88594",
  "iso-8859-5": "88595 cp915 ibm915",
  "iso-8859-6": "88596 cp1089 ibm1089 iso88596i",
  "iso-8859-7": "88597",
  "iso-8859-8": "88598 cp916 ibm916 iso88598i hebrew8",
  "iso-8859-9": "88599 cp920 ibm920 ecma128 turkish8",
  "iso-8859-10": "iso885910 iso8859101992",
  "iso-8859-11": "thai8",
  "iso-8859-14": "iso885914 iso8859141998 isoceltic isoir199 l8 latin8",
  "iso-8859-15": "latin9 windows28605",
  ibm866: "ibm866",
  "koi8-r": "koi8 koi8r",
  "koi8-u": "koi8u windows21866",
  "windows-874": "tis620 xwindows874",
  macintosh: "xmacintosh macroman windows10000",
  "x-mac-cyrillic": "maccyrillic",
  shift_jis: "cp932 windows932 csshiftjis cswindows31j ibm943 xmscp932 pck",
  gbk: "cp936 ms936 windows936 euccn xeuccn gb2312",
  gb18030: "gb18030",
  "euc-jp": "eucjp ujis eucjp2007 ibm954 ibm33722",
  "euc-kr": "euckr xeuckr cp949 ms949 ibm949 ksc5601 xwindows949 windows51949",
  big5: "big5 big5hkscs cp950 windows950 xbig5 xwindows950",
  "iso-2022-jp": "iso2022jp iso2022jp1 iso2022jp2 csiso2022jp2 jis jis7 xjis jisencoding",
  "utf-8": "utf8 utf08 xutf8 cp1208 ibm1208 windows65001 cesu8",
  "utf-16be": "utf16 utf16be utf16bigendian ucs2 unicodebig cp1200",
  "utf-16le": "utf16le unicodelittle",
  "us-ascii":
    "us ansix341986 iso646irv1991 iso646irv1983 ascii7 usascii xascii csascii cp367 ibm367 isoir6",
  /** Known by name alone: their text is not decoded. */
  "": `${[
    "437 500 850 851 852 855 856 857 860 861 862 863 865 869 1026 1047 cpar cpgr cp037 cp273 cp278",
    "cp280 cp284 cp285 cp290 cp297 cp420 cp424 cp437 cp500 cp737 cp775 cp803 cp813 cp850 cp851",
    "cp852 cp855 cp856 cp857 cp858 cp860 cp861 cp862 cp863 cp864 cp865 cp868 cp869 cp870 cp871",
    "cp874 cp875 cp918 cp921 cp922 cp930 cp933 cp935 cp937 cp939 cp1025 cp1026 cp1047 cp1097",
    "cp1112 cp1122 cp1123 cp1124 cp1125 cp1140 cp1141 cp1142 cp1143 cp1144 cp1145 cp1146 cp1147",
    "cp1148 cp1149 dos720 dos862 ibm720 windows720 hproman8 cshproman8 r8 roman8 macce xmacce",
    "maccentraleurope euctw euctw2014 eucth utf7 unicode11utf7 utf32 utf32be utf32le ucs4 csucs4",
    "hz hzgb2312 iso2022cn iso2022cnext csiso2022cn iso2022kr csiso2022kr iso10646ucs4 scsu bocu1",
    "iscii gsm0338 ibm037 ibm273 ibm277 ibm278 ibm280 ibm284 ibm285 ibm290 ibm297 ibm420 ibm424",
    "ibm437 ibm500 ibm775 ibm803 ibm813 ibm850 ibm851 ibm852 ibm855 ibm856 ibm857 ibm858 ibm860",
    "ibm861 ibm862 ibm863 ibm864 ibm865 ibm868 ibm869 ibm870 ibm871 ibm874 ibm875 ibm918 ibm921",
    "ibm922 ibm930 ibm932 ibm933 ibm935 ibm937 ibm939 ibm942 ibm1026 ibm1047 ibm1051 ibm1124",
    "ibm1129 ibm1133 ibm1140 ibm1141 ibm1142 ibm1143 ibm1144 ibm1145 ibm1146 ibm1147 ibm1148",
    "ibm1149 ibm1162 cspc8codepage437 cspc850multilingual cspc862latinhebrew cspc775baltic",
    "cspcp852 windows20127",
  ].join(" ")}`,
});

/** Names of TextDecoder that are not Cyrus'. */
const STRANGE = new Set(
  (
    "csiso88596e csiso88596i csiso88598e csiso88598i visual logical dos-874 iso-8859-16 koi8-ru " +
    "x-mac-ukrainian cn-big5 unicodefffe unicodefeff"
  ).split(" "),
);

function table(names: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(names).flatMap(([label, list]) => list.split(" ").map((name) => [name, label])),
  );
}

/** The labels of known names that have been met: asking TextDecoder is dear, and they are few. */
const labels = new Map<string, string>();

/** The name that TextDecoder has for `name`; "" where it has none; undefined for unknown ones. */
function labelOf(name: string): string | undefined {
  const lower = name.toLowerCase();
  const label = labels.get(lower) ?? findLabel(lower);
  if (label !== undefined && labels.size < MAX_LABELS) labels.set(lower, label);
  return label;
}

/** One name can be written with any marks between its letters. */
const MAX_LABELS = 1000;

function findLabel(lower: string): string | undefined {
  if (/^(unknown|unknown-8bit|x-unknown|x-user-defined|none)$/.test(lower)) return "windows-1252";
  const alias = ALIASES.get(lower.replace(/[^a-z0-9]/g, ""));
  if (alias !== undefined && lower !== "gb2312") return exactLabel(lower, alias);
  if (STRANGE.has(lower)) return undefined;
  try {
    return exactLabel(lower, new TextDecoder(lower as Encoding).encoding);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function exactLabel(name: string, label: string): string {
  if (/^(us-ascii|ascii|ansi_x3\.4-19(68|86)|iso_646\.irv:1991)$/.test(name)) return "us-ascii";
  if (/^(l1|cp819|ibm-?819|csisolatin1|iso-ir-100|iso88591|iso_8859-1:1987)$/.test(name)) {
    return "iso-8859-1";
  }
  if (/^utf-?16$|^unicode$|^csunicode$|^ucs-?2$|^iso-10646-ucs-2$/.test(name)) return "utf-16be";
  if (label === "windows-1254" && !/1254/.test(name)) return "iso-8859-9";
  if (label === "windows-874" && /8859|^tis-620$/.test(name)) return "iso-8859-11";
  return label;
}

/** True where Cyrus knows a character set of this name. */
export function isKnownCharset(name: string): boolean {
  return labelOf(name) !== undefined;
}

type Encoding = ConstructorParameters<typeof TextDecoder>[0];

const decodes = new Map<string, Decode>();

/** What decodes text in the character set `name`; undefined where Cyrus knows none of that name. */
export function decodeOf(name: string): Decode | undefined {
  const label = labelOf(name);
  if (label === undefined) return undefined;
  const decode = decodes.get(label) ?? newDecode(label);
  decodes.set(label, decode);
  return decode;
}

const REPLACEMENT = "\ufffd";
/** What ICU puts for what a character set of several bytes a character has not. */
const SUBSTITUTE = "\x1a";

/** ASCII, without NUL. */
export function decodeAscii(text: string): string {
  return text.replaceAll("\0", "").replace(/[\x80-\xff]/g, REPLACEMENT);
}

function newDecode(label: string): Decode {
  if (label === "us-ascii" || label === "") return decodeAscii;
  if (label === "iso-8859-1") return (text) => text;
  if (label === "utf-8") return decodeUtf8;
  const decoder = new TextDecoder(label as Encoding, { ignoreBOM: true });
  const decode: Decode = (text) => decoder.decode(Buffer.from(text, "latin1"));
  // These have control characters where the sets of Windows that are like them have others.
  if (label === "iso-8859-9" || label === "iso-8859-11") {
    return (text) => text.replace(/[^\x80-\x9f]+/g, decode);
  }
  if (!/jp|jis|euc/.test(label)) return decode;
  return (text) => decode(text).replaceAll(REPLACEMENT, SUBSTITUTE);
}

const utf8Decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** A character that an invalid byte cuts off, and one that is a surrogate or out of range. */
const BROKEN_UTF8 =
  /([\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})[\xc0\xc1\xf5-\xff]/g;
const STRANGE_UTF8 = /\xed[\xa0-\xbf][\x80-\xbf]|\xf4[\x90-\xbf][\x80-\xbf]{2}/g;
/** A character that the end of the text cuts off. */
const CUT_UTF8 = /([\xc2-\xf4]|[\xe0-\xf4][\x80-\xbf]|[\xf0-\xf4][\x80-\xbf]{2})$/;

/** UTF-8. What is no character becomes one U+FFFD, but at the end of the text nothing. */
export function decodeUtf8(text: string): string {
  const told = text.replace(BROKEN_UTF8, "\xff").replace(STRANGE_UTF8, "\xff");
  const mended = told.replace(CUT_UTF8, "");
  return utf8Decoder.decode(Buffer.from(mended, "latin1"));
}
