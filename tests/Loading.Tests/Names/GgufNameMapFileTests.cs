using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class GgufNameMapFileTests
{
    [Fact]
    public async Task A_file_says_what_entries_in_code_say()
    {
        var map = await ReadAsync("""
            {"schema": "ilgpu-loader/names/1", "tensors": {
              "a.weight": "x.weight",
              "b.weight": {"name": "y.weight", "transform": "minus-one"},
              "c.weight": {"name": "z.weight"},
              "blk.{block}.q.weight": {"name": "l.{block}.q.weight", "transform": "unpermute", "heads": 4},
              "blk.{block}.t.weight": {"name": "l.{block}.t.weight", "transform": "transpose"},
              "blk.{block}.kv.weight": [
                {"name": "l.{block}.k.weight", "transform": "rows", "start": 0, "count": 2},
                {"name": "l.{block}.v.weight", "transform": "rows", "start": 2, "count": 3}],
              "blk.{block}.exps": {"name": "l.{block}.e.{expert}", "transform": "experts", "experts": 2},
              "rope_freqs.weight": null
            }}
            """);
        Assert.Equal([new("x.weight", WeightTransform.None)], TargetsOf(map, "a.weight"));
        Assert.Equal([new("y.weight", WeightTransform.MinusOne)], TargetsOf(map, "b.weight"));
        Assert.Equal([new("z.weight", WeightTransform.None)], TargetsOf(map, "c.weight"));
        Assert.Equal([new("l.7.q.weight", WeightTransform.Unpermute(4))], TargetsOf(map, "blk.7.q.weight"));
        Assert.Equal([new("l.7.t.weight", WeightTransform.Transpose)], TargetsOf(map, "blk.7.t.weight"));
        Assert.Equal(
            [new("l.7.k.weight", WeightTransform.Rows(0, 2)), new("l.7.v.weight", WeightTransform.Rows(2, 3))], TargetsOf(map, "blk.7.kv.weight"));
        Assert.Equal([new("l.7.e.0", WeightTransform.Expert(0, 2)), new("l.7.e.1", WeightTransform.Expert(1, 2))], TargetsOf(map, "blk.7.exps"));
        Assert.Empty(TargetsOf(map, "rope_freqs.weight"));
        Assert.False(map.TryGetTargets("d.weight", out _));
    }

    [Theory]
    [InlineData("", "JSON")]
    [InlineData("[]", "ilgpu-loader/names/1")]
    [InlineData("""{"schema": "ilgpu-loader/names/2", "tensors": {}}""", "ilgpu-loader/names/1")]
    [InlineData("""{"schema": "ilgpu-loader/names/1"}""", "'tensors'")]
    [InlineData("""{"schema": "ilgpu-loader/names/1", "tensors": {}, "tensor\u001b": {"a": "x"}}""", "'tensor\\u001b'")]
    public async Task Something_else_is_no_map(string content, string part)
    {
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => ReadAsync(content));
        Assert.Equal((CheckpointErrorCode.NameMapInvalid, "names"), (exception.Code, exception.Format));
        Assert.Contains(part, exception.Message, StringComparison.Ordinal);
        Assert.EndsWith("map.json", exception.File, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"a\": 5", "'a'", "checkpoint name")]
    [InlineData("\"a\": []", "'a'", "checkpoint name")]
    [InlineData("\"a\": [\"x\"]", "'a'", "checkpoint name")]
    [InlineData("\"a\": {\"transform\": \"none\"}", "'a'", "checkpoint name")]
    [InlineData("\"a\": {\"name\": 1}", "'a'", "checkpoint name")]
    [InlineData("\"a\": {\"name\": \"x\", \"transform\": 1}", "'a'", "'transform'")]
    [InlineData("\"a\": {\"name\": \"x\", \"transform\": \"turn\\u001b\"}", "'a'", "'turn\\u001b'")]
    [InlineData("\"a\": {\"name\": \"x\", \"transform\": \"unpermute\"}", "'a'", "'heads'")]
    [InlineData("\"a\": {\"name\": \"x\", \"transform\": \"unpermute\", \"heads\": 0}", "'a'", "heads")]
    [InlineData("\"a\": {\"name\": \"x\", \"transform\": \"unpermute\", \"heads\": 1.5}", "'a'", "'heads'")]
    [InlineData("\"a\": {\"name\": \"x\", \"transform\": \"rows\", \"start\": 1}", "'a'", "'count'")]
    [InlineData("\"a\": {\"name\": \"x\", \"transform\": \"rows\", \"start\": -1, \"count\": 1}", "'a'", "start")]
    [InlineData("\"a\": {\"name\": \"x\", \"transform\": \"experts\", \"experts\": 2}", "'a'", "{expert}")]
    [InlineData("\"a\": {\"name\": \"x.{expert}\", \"transform\": \"experts\", \"experts\": 99999999999}", "'a'", "entry")]
    [InlineData("\"a\": {\"name\": \"x\", \"trasform\": \"transpose\"}", "'a'", "'trasform'")]
    [InlineData("\"a\": {\"name\": \"x\", \"heads\": 4}", "'a'", "'heads'")]
    [InlineData("\"a\": {\"name\": \"x\", \"transform\": \"transpose\", \"heads\": 4}", "'a'", "'heads'")]
    [InlineData("\"a\": {\"name\": \"x\", \"transform\": \"unpermute\", \"heads\": 4, \"count\": 1}", "'a'", "'count'")]
    [InlineData("\"a\": [{\"name\": \"x\"}, {\"name\": \"y\", \"Name\\u001b\": \"z\"}]", "'a'", "'Name\\u001b'")]
    [InlineData("\"\": \"x\"", "''", "empty")]
    [InlineData("\"a\": \"\"", "'a'", "empty")]
    [InlineData("\"a\": {\"name\": \"\", \"transform\": \"transpose\"}", "'a'", "empty")]
    [InlineData("\"a\": \"x\", \"b\": \"x\"", "'a'", "'b'")]
    [InlineData("\"a\": \"x\", \"a\": \"y\"", "'a'", "uplicate")]
    [InlineData("\"blk.{block}.a\": \"x\"", "'blk.{block}.a'", "{block}")]
    public async Task A_broken_entry_is_named(string entry, string name, string part)
    {
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(
            () => ReadAsync($"{{\"schema\": \"ilgpu-loader/names/1\", \"tensors\": {{{entry}}}}}"));
        Assert.Equal(CheckpointErrorCode.NameMapInvalid, exception.Code);
        Assert.Contains(name, exception.Message, StringComparison.Ordinal);
        Assert.Contains(part, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_byte_order_mark_does_no_harm()
    {
        var map = await ReadAsync("\uFEFF{\"schema\": \"ilgpu-loader/names/1\", \"tensors\": {\"a\": \"x\"}}");
        Assert.Single(TargetsOf(map, "a"));
    }

    [Fact]
    public async Task A_file_that_is_not_there_or_too_long_is_refused()
    {
        using var folder = new TemporaryFolder();
        await Assert.ThrowsAsync<FileNotFoundException>(() => GgufNameMap.ReadAsync(folder["none.json"]));
        await using (var file = File.Create(folder["long.json"]))
        {
            file.SetLength((64L << 20) + 1);
        }

        var exception = await Assert.ThrowsAsync<CheckpointLimitException>(() => GgufNameMap.ReadAsync(folder["long.json"]));
        Assert.Equal((64L << 20, "GgufNameMapOptions.MaximumFileBytes"), (exception.Maximum, exception.Option));
        var raised = new GgufNameMapOptions { MaximumFileBytes = (64 << 20) + 1 };
        // Now it is read, and is zeros.
        await Assert.ThrowsAsync<InvalidCheckpointException>(() => GgufNameMap.ReadAsync(folder["long.json"], raised));
    }

    [Fact]
    public async Task Experts_of_all_entries_are_limited_together()
    {
        using var folder = new TemporaryFolder();
        var entries = Enumerable.Range(0, 33).Select(i => $$"""
            "a{{i}}": {"name": "x{{i}}.{expert}", "transform": "experts", "experts": 4096}
            """);
        var path = folder.Write("map.json", $$$"""{"schema": "ilgpu-loader/names/1", "tensors": {{{{string.Join(',', entries)}}}}}""");
        var exception = await Assert.ThrowsAsync<CheckpointLimitException>(() => GgufNameMap.ReadAsync(path));
        Assert.Equal((33 * 4096, 131_072, path), (exception.Actual, exception.Maximum, exception.File));
        Assert.Equal("GgufNameMapOptions.MaximumParts", exception.Option);
        var map = await GgufNameMap.ReadAsync(path, new GgufNameMapOptions { MaximumParts = 33 * 4096 });
        Assert.Equal(4096, TargetsOf(map, "a32").Length);
    }

    [Fact]
    public async Task Reading_is_cancelled()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("map.json", """{"schema": "ilgpu-loader/names/1", "tensors": {}}""");
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => GgufNameMap.ReadAsync(path, cancellationToken: new CancellationToken(canceled: true)));
    }

    private static async Task<GgufNameMap> ReadAsync(string content)
    {
        using var folder = new TemporaryFolder();
        return await GgufNameMap.ReadAsync(folder.Write("map.json", content));
    }

    private static NameMapTarget[] TargetsOf(GgufNameMap map, string name)
    {
        Assert.True(map.TryGetTargets(name, out var targets));
        return [.. targets];
    }
}
