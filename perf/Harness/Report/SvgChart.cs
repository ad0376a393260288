using System.Globalization;
using System.Security;
using System.Text;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>
/// A chart of a scenario: for every row bars for ours, the limits, peers and what it replaces, with whiskers from the least to the greatest.
/// Speeds where bytes were moved, else times or sizes. Readable on light and dark pages; fonts are the reader's own.
/// </summary>
internal static class SvgChart
{
    private const int Width = 860;
    private const int LabelWidth = 330;
    private const int BarWidth = 330;
    private const int BarHeight = 16;
    private const int RowGap = 14;
    private const int TitleHeight = 22;
    private const int Top = 44;

    // What a name is cut to so that it does not run into the bars.
    private const int LabelCharacters = 52;

    private const string Style =
        """
        text{font:12px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600}.head{font-size:15px;font-weight:600}.value{font-size:11px}
        .ours{fill:#2563eb}.limit{fill:#8b949e}.peer{fill:#d97706}.baseline{fill:#7c3aed}.whisker{stroke:#1f2328;stroke-width:1}
        @media(prefers-color-scheme:dark){text{fill:#e6edf3}.ours{fill:#60a5fa}.limit{fill:#6e7681}.peer{fill:#f59e0b}.baseline{fill:#a78bfa}.whisker{stroke:#e6edf3}}
        """;

    /// <summary>Draws the rows that were measured.</summary>
    /// <param name="scenario">The title.</param>
    /// <param name="rows">The rows.</param>
    public static string Draw(string scenario, IEnumerable<Measurement> rows)
    {
        var body = new StringBuilder();
        var y = Top;
        foreach (var row in rows)
        {
            if (row.Statistic is not { } ours)
            {
                continue;
            }

            (string Name, string Kind, MeasuredStatistic Value)[] bars =
            [
                row.Name.StartsWith(HarnessRow.LimitPrefix, StringComparison.Ordinal) ? ("the machine by itself", "limit", ours) : ("ours", "ours", ours),
                .. row.Comparisons.Where(comparison => comparison.Other is not null)
                    .Select(comparison => (comparison.Name, KindOf(comparison.Against), comparison.Other!.Value)),
            ];
            Text(body, 8, y + 14, "title", row.Name);
            y += TitleHeight;
            // Each row has its own scale: what is compared stands together.
            var longest = bars.Max(bar => Lengths(row, bar.Value).Maximum);
            foreach (var (name, kind, value) in bars)
            {
                DrawBar(body, y, name, kind, Lengths(row, value), longest, row.Format(value));
                y += BarHeight + 4;
            }

            y += RowGap;
        }

        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture, $"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {Width} {y}" width="{Width}" height="{y}" role="img" aria-label="{Escape(scenario)}">""");
        svg.Append("\n<style>").Append(Style).Append("</style>\n");
        Text(svg, 8, 24, "head", scenario + ": speeds where bytes were moved (longer is better), else times and sizes (shorter is better)");
        return svg.Append(body).Append("</svg>\n").ToString();
    }

    private static void DrawBar(
        StringBuilder body, int y, string name, string kind, MeasuredStatistic length, double longest, string figure)
    {
        double Scaled(double value) => longest > 0 ? value / longest * BarWidth : 0;
        Text(body, 24, y + 12, "label", name);
        body.Append(
            CultureInfo.InvariantCulture,
            $"""<rect class="{kind}" x="{LabelWidth}" y="{y}" width="{Scaled(length.Median):0.#}" height="{BarHeight - 2}" rx="2"/>""");
        var (left, right, middle) = (LabelWidth + Scaled(length.Minimum), LabelWidth + Scaled(length.Maximum), y + (BarHeight / 2) - 1);
        body.Append(
            CultureInfo.InvariantCulture,
            $"""<path class="whisker" fill="none" d="M{left:0.#} {middle - 3}v6M{left:0.#} {middle}H{right:0.#}M{right:0.#} {middle - 3}v6"/>""");
        body.Append('\n');
        Text(body, LabelWidth + BarWidth + 12, y + 12, "value", figure);
    }

    private static MeasuredStatistic Lengths(Measurement row, MeasuredStatistic value) =>
        row is { Bytes: { } bytes, Quantity: MeasuredQuantity.Seconds } ? new(bytes / value.Median, bytes / value.Maximum, bytes / value.Minimum) : value;

    private static string KindOf(MeasuredAgainst against) => against switch
    {
        MeasuredAgainst.Limit => "limit",
        MeasuredAgainst.Peer => "peer",
        _ => "baseline",
    };

    private static void Text(StringBuilder svg, int x, int y, string kind, string text)
    {
        var shown = kind == "label" && text.Length > LabelCharacters ? text[..(LabelCharacters - 1)] + "…" : text;
        svg.Append(CultureInfo.InvariantCulture, $"""<text class="{kind}" x="{x}" y="{y}">{Escape(shown)}</text>""").Append('\n');
    }

    // Control characters are not XML, whether they are escaped or not.
    private static string Escape(string text) =>
        SecurityElement.Escape(string.Concat(text.Select(character => char.IsControl(character) || char.IsSurrogate(character) ? '?' : character)));
}
