# The text of manual pages, without their markup (man(7)): headings, paragraphs filled to 80 columns, examples as they are.
#   zcat PAGES | awk -f man_text.awk

# Text without the escapes of roff (groff(7), "Escape short reference").
function plain(s, parts, i, n) {
  sub(/\\".*/, "", s)
  gsub(/\\f(\[[A-Za-z]*\]|\(..|.)/, "", s)  # fonts
  gsub(/\\[hvw]'[^']*'/, "", s)             # motions and widths
  gsub(/\\s[-+]?[0-9]+/, "", s)             # sizes
  gsub(/\\[(][lr]q|\\\*[(][lr]q|\\[(]dq|\\\[dq\]/, "\"", s)
  gsub(/\\[(](aq|oq|cq)|\\\[aq\]/, "'", s)
  gsub(/\\[(]ga/, "`", s)
  gsub(/\\[(]ti|\\\[ti\]/, "~", s)
  gsub(/\\[(]ha|\\\[ha\]/, "^", s)
  gsub(/\\[(]bu|\\\[bu\]/, "*", s)
  gsub(/\\[(]em|\\\[em\]/, "--", s)
  gsub(/\\[(](en|mi|hy)/, "-", s)
  gsub(/\\[(]mu/, "x", s)
  gsub(/\\[(]<=|\\\[<=\]/, "<=", s)
  gsub(/\\[(]>=|\\\[>=\]/, ">=", s)
  gsub(/\\[(]\+-|\\\[\+-\]/, "+-", s)
  gsub(/\\[(]->|\\\[->\]/, "->", s)
  gsub(/\\['`]/, "'", s)
  gsub(/\\-/, "-", s)
  gsub(/\\[ ~0]/, " ", s)
  gsub(/\\([(](rs|sl)|\[rs\]|e|\\)/, "\001", s)   # a backslash, when all else is gone
  gsub(/\\([(*]*\[[^]]*\]|[*]?[(]..|.|$)/, "", s)  # any other escape is no letter of text
  gsub(/\001/, "\\", s)
  return s
}

# The arguments of a request, joined by `between`; those in quotes have spaces of their own.
function arguments(s, between, joined, word, count) {
  sub(/^.[A-Za-z]+[ \t]*/, "", s)
  sub(/[ \t]*\\".*/, "", s)
  joined = ""
  for (count = 0; s != ""; ++count) {
    if (match(s, /^"([^"]|"")*"?/)) {
      word = substr(s, 2, RLENGTH - 1)
      sub(/"$/, "", word)
      gsub(/""/, "\"", word)
    } else {
      match(s, /^([^ \t\\]|\\.|\\$)+/)
      word = substr(s, 1, RLENGTH)
    }
    s = substr(s, RLENGTH + 1)
    sub(/^[ \t]+/, "", s)
    joined = joined (count ? between : "") word
  }
  return plain(joined)
}

function flush_line() {
  if (line != "") print line
  line = ""
}

function blank() {
  flush_line()
  if (!was_blank) print ""
  was_blank = 1
}

# A line of text: as it is in an example, else its words are filled up.
function text(s, words, i, n) {
  if (skipping) return
  if (example) {
    flush_line()
    print s
    if (s != "") was_blank = 0
    return
  }
  n = split(s, words, /[ \t]+/)
  for (i = 1; i <= n; ++i) {
    if (words[i] == "") continue
    if (line != "" && length(line) + 1 + length(words[i]) > 80) flush_line()
    line = line (line != "" ? " " : "") words[i]
    was_blank = 0
  }
  if (tag) {  # the line after .TP stands alone
    flush_line()
    tag = 0
  }
}

function heading(s) {
  example = tag = 0
  blank()
  print s
  was_blank = 0
}

{ while (sub(/\\$/, "") && (getline rest) > 0) $0 = $0 rest }  # a line that goes on
/^.de / { defining = 1 }
defining { if (/^\.\.$/) defining = 0; next }
/^.TS/ { table = 1 }
table { if (/^.TE/) table = 0; next }
/^['.][ \t]*\\"/ { next }
/^\.TH / { split($0, header); skipping = 0; heading(toupper(header[2]) "(" header[3] ")"); next }
/^\.SH/ { s = arguments($0, " "); skipping = (s == "COLOPHON"); if (!skipping) heading(s); next }
skipping { next }
/^\.SS/ { heading(arguments($0, " ")); next }
/^\.(PP|P|LP|sp|HP)/ { blank(); next }
/^\.TP/ { blank(); tag = 1; next }
/^\.TQ/ { flush_line(); tag = 1; next }
/^\.IP/ { blank(); s = arguments($0, "\t"); sub(/\t.*/, "", s); text(s); if (length(s) > 2) flush_line(); next }
/^\.(nf|EX)/ { flush_line(); example = 1; next }
/^\.(fi|EE)/ { example = 0; next }
/^\.(br|RS|RE)/ { flush_line(); next }
/^\.(B|I|SM|SB|UR|MT) / { text(arguments($0, " ")); next }
/^\.(BR|RB|BI|IB|IR|RI) / { text(arguments($0, "")); next }
/^['.]/ { next }
/^$/ { blank(); next }
{ text(plain($0)) }
END { flush_line() }
