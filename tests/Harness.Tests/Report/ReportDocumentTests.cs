using System.Text.Json;
using IlgpuLoader.Loading;
using Xunit;

namespace IlgpuLoader.Harness.Tests;

public sealed class ReportDocumentTests
{
    [Fact]
    public void A_report_is_read_as_it_was_written_with_every_pair()
    {
        var full = Reports.RowOf("keep", MeasuredAgainst.Peer, "torch.load", 2, 3, 4) with { Bytes = 7, Budget = 0.5, Note = "noted" };
        var report = Reports.Of(
            full with { Comparisons = [full.Comparisons[0] with { Target = 3 }, MeasuredComparison.LeftOut("other", MeasuredAgainst.Peer, "not here")] },
            Measurement.LeftOut("cold", "no permission"),
            Measurement.Of("peak", MeasuredQuantity.Bytes, [5]));
        var json = ReportDocument.Write(report);
        using (var document = JsonDocument.Parse(json))
        {
            Assert.Equal("ilgpu-loader/perf/1", document.RootElement.GetProperty("schema").GetString());
            var row = document.RootElement.GetProperty("rows")[0];
            Assert.Equal(("load", "seconds"), (row.GetProperty("scenario").GetString(), row.GetProperty("unit").GetString()));
            var comparison = row.GetProperty("comparisons")[0];
            Assert.Equal([1.0, 3.0], comparison.GetProperty("pairs")[1].EnumerateArray().Select(value => value.GetDouble()));
            Assert.Equal(3, comparison.GetProperty("ratio").GetProperty("median").GetDouble());
        }

        Assert.Equal(json, ReportDocument.Write(ReportDocument.Read(json)));
    }

    [Theory]
    [InlineData("""{"schema":"ilgpu-loader/perf/2","rows":[]}""")]
    [InlineData("""{"schema":"ilgpu-loader/perf/1"}""")]
    [InlineData("null")]
    [InlineData("")]
    public void Another_document_is_refused(string json) => Assert.ThrowsAny<JsonException>(() => ReportDocument.Read(json));
}
