using System.Xml.Linq;
using IlgpuLoader.Loading;
using Xunit;

namespace IlgpuLoader.Harness.Tests;

public sealed class ReportTextTests
{
    [Fact]
    public void Every_comparison_has_a_line_with_its_figure_its_ratio_and_its_target()
    {
        var row = new Measurement(
            "keep",
            MeasuredQuantity.Seconds,
            [0.5, 1, 2],
            [
                new MeasuredComparison("reads", MeasuredAgainst.Limit, [new(0.5, 0.5), new(1, 0.9), new(2, 1)]) { Target = 0.95 },
                MeasuredComparison.LeftOut("torch.load", MeasuredAgainst.Peer, "not here"),
            ])
        { Bytes = 1_000_000_000 };
        var lines = ReportCells.Of(row).ToArray();
        Assert.Equal(["keep", "1.00 (0.50 to 2.00) GB/s", "limit: reads", "1.11 (1.00 to 2.00) GB/s", "0.90 (0.50 to 1.00)", "≥ 0.95"], lines[0]);
        Assert.Equal(["", "", "peer: torch.load", "skipped: not here", "", ""], lines[1]);
        Assert.False(ReportCells.Reaches(row));
        Assert.Null(ReportCells.Reaches(Measurement.LeftOut("a", "b")));
    }

    [Fact]
    public void A_budget_is_reached_by_the_median_alone()
    {
        var row = Measurement.Of("open", MeasuredQuantity.Seconds, [0.001, 0.004, 0.100]) with { Budget = 0.005 };
        Assert.Equal(["open", "4.000 (1.000 to 100.000) ms", "budget", "5 ms", "1.25 (0.05 to 5.00)", "≤ 5 ms"], Assert.Single(ReportCells.Of(row)));
        Assert.True(ReportCells.Reaches(row));
        Assert.False(ReportCells.Reaches(row with { Budget = 0.003 }));
    }

    [Fact]
    public void Markdown_has_a_section_and_a_chart_a_scenario_and_names_cannot_break_its_tables()
    {
        var markdown = MarkdownReport.Write(Reports.Of(Reports.RowOf("a|b\n<script>", MeasuredAgainst.Peer, "x|y", 1)));
        Assert.Contains("## load\n", markdown, StringComparison.Ordinal);
        Assert.Contains("![load](perf-load.svg)", markdown, StringComparison.Ordinal);
        Assert.Contains("| a\\|b \\<script> | 1.00 s | peer: x\\|y |", markdown, StringComparison.Ordinal);
        Assert.Contains("machine \\| of \\<one> core; 2026-11-22", markdown, StringComparison.Ordinal);
    }

    [Fact]
    public void A_chart_is_well_formed_has_a_bar_a_figure_and_takes_no_font_from_elsewhere()
    {
        var svg = SvgChart.Draw(
            "a & <b>",
            [
                Reports.RowOf("row \"1\" \u0001", MeasuredAgainst.Limit, "<limit> & \u001b[31m", 2, 4),
                Reports.RowOf("row 2", MeasuredAgainst.Peer, "peer", 0.5),
                Measurement.LeftOut("not here", "because"),
                Measurement.Of("peak", MeasuredQuantity.Bytes, [0]),
            ]);
        var root = XDocument.Parse(svg).Root!;
        XNamespace name = "http://www.w3.org/2000/svg";
        var bars = root.Elements(name + "rect").ToArray();
        Assert.Equal(["ours", "limit", "ours", "peer", "ours"], bars.Select(bar => bar.Attribute("class")!.Value));
        // The longest of a row takes all of the width, the others their part of it: 1 s of at most 4 s, whose median is 3 s.
        var widths = bars.Select(bar => double.Parse(bar.Attribute("width")!.Value, System.Globalization.CultureInfo.InvariantCulture)).ToArray();
        Assert.Equal(widths[1] / 3, widths[0], 1);
        Assert.Equal(widths[3] * 2, widths[2], 1);
        Assert.Equal(bars.Length, root.Elements(name + "path").Count());
        Assert.Contains(root.Elements(name + "text"), text => text.Value == "<limit> & ?[31m");
        Assert.DoesNotContain(root.Elements(name + "text"), text => text.Value.Contains("not here", StringComparison.Ordinal));
        Assert.DoesNotContain("url(", svg, StringComparison.Ordinal);
        Assert.DoesNotContain("@import", svg, StringComparison.Ordinal);
        Assert.Contains("prefers-color-scheme:dark", svg, StringComparison.Ordinal);
    }

    [Fact]
    public void The_terminal_names_what_was_not_reached()
    {
        var missed = Measurement.Of("open", MeasuredQuantity.Seconds, [2]) with { Budget = 1 };
        using var output = new StringWriter();
        TerminalReport.Write(output, Reports.Of(missed, missed with { Name = "plan", Budget = 3 }));
        Assert.Contains("not reached: load: open" + output.NewLine, output.ToString(), StringComparison.Ordinal);
    }
}
