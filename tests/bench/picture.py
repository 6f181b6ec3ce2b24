"""picture: figures as SVG that can be read on light and on dark ground."""

import math

COLOURS = {"bare loop": "#8a8f98", "guard, silent": "#2f7fd6", "guard, challenging": "#1f9d63", "libcoap": "#d9822b", "aiocoap": "#c0508a"}
STYLE = """<style>
text { font: 12px sans-serif; fill: #24292f } .title { font-size: 14px; font-weight: bold } .small { font-size: 11px; fill: #57606a }
.ground { fill: #ffffff } .grid { stroke: #d0d7de } .bar { fill: #2f7fd6 } .other { fill: #8a8f98 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .small { fill: #9da7b3 } .ground { fill: #0d1117 } .grid { stroke: #30363d } }
</style>"""


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;")


def canvas(width, height, title, foot):
    return ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">' % (width, height, width, height), STYLE,
            '<title>%s</title><rect class="ground" width="100%%" height="100%%"/>' % escape(title),
            '<text class="title" x="16" y="24">%s</text>' % escape(title),
            '<text class="small" x="16" y="%d">%s</text>' % (height - 10, escape(foot))]


def text(x, y, what, anchor="start", extra=""):
    return '<text x="%.1f" y="%.1f" text-anchor="%s"%s>%s</text>' % (x, y, anchor, extra, escape(what))


def line(x1, y1, x2, y2):
    return '<line class="grid" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>' % (x1, y1, x2, y2)


def decades(values):
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def power(n):
    """10^n without a font that has all superscripts."""
    return "%g" % 10**n if -1 <= n <= 3 else "10" + "".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[int(d)] for d in str(n)) if n > 0 else "%g" % 10**n


def curves(title, foot, across, up, series):
    """series: name -> [(x, y)]; both axes logarithmic."""
    width, height, left, right, top, bottom = 760, 420, 80, 180, 50, 70
    points = [p for s in series.values() for p in s]
    (x0, x1), (y0, y1) = decades([p[0] for p in points]), decades([p[1] for p in points])

    def at_x(x):
        return left + (width - left - right) * (math.log10(x) - x0) / (x1 - x0)

    def at_y(y):
        return height - bottom - (height - top - bottom) * (math.log10(y) - y0) / (y1 - y0)

    out = canvas(width, height, title, foot)
    for n in range(y0, y1 + 1):
        out += [line(left, at_y(10**n), width - right, at_y(10**n)), text(left - 8, at_y(10**n) + 4, power(n), "end")]
    for n in range(x0, x1 + 1):
        out += [line(at_x(10**n), top, at_x(10**n), height - bottom), text(at_x(10**n), height - bottom + 18, power(n), "middle")]
    out += [text((left + width - right) / 2, height - bottom + 38, across, "middle"),
            text(18, (top + height - bottom) / 2, up, "middle", ' transform="rotate(-90 18 %.1f)"' % ((top + height - bottom) / 2))]
    labels = []
    for name, s in sorted(series.items(), key=lambda one: at_y(one[1][-1][1])):
        places = ["%.1f,%.1f" % (at_x(x), at_y(y)) for x, y in s]
        out.append('<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>' % (COLOURS[name], " ".join(places)))
        out += ['<circle cx="%s" cy="%s" r="3.5" fill="%s"/>' % (*place.split(","), COLOURS[name]) for place in places]
        y = max(at_y(s[-1][1]), labels[-1] + 15 if labels else 0)
        labels.append(y)
        out += ['<rect x="%d" y="%.1f" width="10" height="10" fill="%s"/>' % (width - right + 12, y - 5, COLOURS[name]),
                text(width - right + 28, y + 4, name)]
    return "\n".join(out + ["</svg>", ""])


def bars(title, foot, unit, rows):
    """rows: (what, value, whether it is the guard's); logarithmic."""
    left, right, high, top = 330, 90, 22, 46
    width, height = 820, top + high * len(rows) + 66
    low, end = decades([value for _, value, _ in rows])

    def at(value):
        return left + (width - left - right) * (math.log10(value) - low) / (end - low)

    out = canvas(width, height, title, foot)
    for n in range(low, end + 1):
        out += [line(at(10**n), top - 6, at(10**n), top + high * len(rows)), text(at(10**n), top + high * len(rows) + 16, power(n), "middle")]
    out.append(text((left + width - right) / 2, top + high * len(rows) + 34, unit, "middle"))
    for i, (what, value, ours) in enumerate(rows):
        y = top + high * i
        out += [text(left - 8, y + 14, what, "end"),
                '<rect class="%s" x="%d" y="%d" width="%.1f" height="%d"/>' % ("bar" if ours else "other", left, y + 3, max(1, at(value) - left), high - 7),
                text(at(value) + 6, y + 14, "%.3g" % value)]
    return "\n".join(out + ["</svg>", ""])
