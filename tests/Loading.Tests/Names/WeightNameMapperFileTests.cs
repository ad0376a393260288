using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class WeightNameMapperFileTests
{
    [Fact]
    public async Task A_file_has_rules_in_its_order()
    {
        var mapper = await ReadAsync("""
            {"suffix": {".w": ".weight", "": "!"}, "prefix": {"b": "c", "a": "b", "vision.": null}, "substring": {"x": ""}}
            """);
        Assert.Equal([new("x", "")], mapper.Substrings.AsEnumerable());
        Assert.Equal([new("b", "c"), new("a", "b"), new("vision.", null)], mapper.Prefixes.AsEnumerable());
        Assert.Equal([new(".w", ".weight"), new("", "!")], mapper.Suffixes.AsEnumerable());
        Assert.Equal("a", (await ReadAsync("\uFEFF{\"schema\": \"ilgpu-loader/name-rules/1\"}")).Map("a"));
    }

    [Fact]
    public async Task What_is_written_is_read_again_and_replaces_the_file()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("rules.json", "old");
        var mapper = new WeightNameMapper([new("é\"\u001b", null), new("a", "b")], [new("", "model.")], [new("z", ""), new("y", null)]);
        await mapper.WriteAsync(path);
        var read = await WeightNameMapper.ReadAsync(path);
        Assert.Equal(mapper.Substrings.AsEnumerable(), read.Substrings);
        Assert.Equal(mapper.Prefixes.AsEnumerable(), read.Prefixes);
        Assert.Equal(mapper.Suffixes.AsEnumerable(), read.Suffixes);
        Assert.StartsWith("{\n  \"schema\": \"ilgpu-loader/name-rules/1\",\n", await File.ReadAllTextAsync(path), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "JSON")]
    [InlineData("[]", "a JSON object with 'substring', 'prefix' and 'suffix' was expected")]
    [InlineData("""{"prefixes": {}}""", "the property 'prefixes' is not known; there are schema, substring, prefix and suffix")]
    [InlineData("""{"pre\u001b": {}}""", "'pre\\u001b'")]
    [InlineData("""{"schema": "ilgpu-loader/names/1", "tensors": {}}""", "the schema 'ilgpu-loader/name-rules/1' was expected, or none, and it is \"ilgpu-loader/names/1\"")]
    [InlineData("""{"schema": 1}""", "and it is 1")]
    [InlineData("""{"prefix": []}""", "'prefix' must be an object of strings")]
    [InlineData("""{"suffix": {"a\u001b": 1}}""", "the suffix 'a\\u001b': a string was expected, or null")]
    [InlineData("""{"substring": {"": "a"}}""", "A rule for a substring must say which")]
    [InlineData("""{"prefix": {"a": "b", "a": "c"}}""", "uplicate")]
    [InlineData("""{"prefix": {}, "prefix": {}}""", "uplicate")]
    [InlineData("""{"prefix": {"a": "\ud800"}}""", "rules for names")]
    public async Task Something_else_is_refused_with_file_and_entry(string content, string part)
    {
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => ReadAsync(content));
        Assert.Equal((CheckpointErrorCode.NameMapInvalid, "name rules"), (exception.Code, exception.Format));
        Assert.Contains(part, exception.Message, StringComparison.Ordinal);
        Assert.EndsWith("rules.json", exception.File, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_is_too_long_is_refused_unread()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("rules.json", "{     }");
        Assert.NotNull(await WeightNameMapper.ReadAsync(path, 7));
        var exception = await Assert.ThrowsAsync<CheckpointLimitException>(() => WeightNameMapper.ReadAsync(path, 6));
        Assert.Contains("maximumFileBytes", exception.Message, StringComparison.Ordinal);
        await Assert.ThrowsAnyAsync<IOException>(() => WeightNameMapper.ReadAsync(folder["missing.json"]));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => WeightNameMapper.ReadAsync(path, cancellationToken: new CancellationToken(true)));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => new WeightNameMapper().WriteAsync(path, new CancellationToken(true)));
        Assert.Equal("{     }", await File.ReadAllTextAsync(path));
    }

    private static async Task<WeightNameMapper> ReadAsync(string content)
    {
        using var folder = new TemporaryFolder();
        return await WeightNameMapper.ReadAsync(folder.Write("rules.json", content));
    }
}
