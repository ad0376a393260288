using System.Globalization;
using System.Text.Json;
using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Ties in the metadata of one file: what is read, what is ignored with a warning, and what is written.</summary>
public sealed class SafetensorsTiesTests
{
    [Fact]
    public async Task Open_Ties_AddAliasesBehindTheirTargets()
    {
        var file = Tied("""{"z":"b","lm_head.weight":"a","c":"b"}""");
        await using var checkpoint = await Opening.AcceptedAsync(file);
        Assert.Equal(["a", "lm_head.weight", "b", "c", "z"], checkpoint.Tensors.Select(tensor => tensor.Name));
        Assert.Equal([null, "a", null, "b", "b"], checkpoint.Tensors.Select(tensor => tensor.TiedTo));
        Assert.Equal((DType.F32, new Shape(1), 4L), (checkpoint["lm_head.weight"].DType, checkpoint["lm_head.weight"].Shape, checkpoint["lm_head.weight"].ByteLength));
        Assert.Equal(checkpoint["b"].Offset, checkpoint["z"].Offset);
        Assert.Empty(checkpoint.Warnings);
        // 4 bytes of 'a' and 3 of 'b', each once.
        Assert.Equal(7, checkpoint.TensorBytes);
    }

    [Fact]
    public async Task Open_TiesThatWereUnderstood_AreNotInTheMetadata()
    {
        await using var checkpoint = await Opening.AcceptedAsync(Tied("""{"x":"a","y":"unknown"}"""));
        Assert.Equal(["format"], checkpoint.Metadata.Keys);
        await using var none = await Opening.AcceptedAsync(Tied(" { } "));
        Assert.Equal(["format"], none.Metadata.Keys);
        Assert.Empty(none.Warnings);
    }

    [Theory]
    [InlineData("", "not JSON")]
    [InlineData("{", "not JSON")]
    [InlineData("""{"x":"a"} 1""", "not JSON")]
    [InlineData("""{"x":"a",}""", "not JSON")]
    [InlineData("""{"x":"a","y":[}""", "not JSON")]
    [InlineData("""{"x":"\ud800"}""", "not JSON")]
    [InlineData("""{"\udc00":"a"}""", "not JSON")]
    [InlineData("""/* no */ {"x":"a"}""", "not JSON")]
    [InlineData("null", "no JSON object")]
    [InlineData("""["x","a"]""", "no JSON object")]
    [InlineData("\"x\"", "no JSON object")]
    public async Task Open_TextThatIsNoObject_IsIgnoredWithAWarningAndStaysInTheMetadata(string text, string reason)
    {
        await using var checkpoint = await Opening.AcceptedAsync(Tied(text));
        Assert.Equal(["a", "b"], checkpoint.Tensors.Select(tensor => tensor.Name));
        Assert.Equal(text, checkpoint.Metadata["ties"]);
        var warning = Assert.Single(checkpoint.Warnings);
        Assert.Equal(Opening.Name, warning.File);
        Assert.Equal($"the ties in the metadata are ignored: they are {reason}.", warning.Message);
    }

    [Theory]
    [InlineData("""{"x":1,"good":"a"}""", "x", "not a string")]
    [InlineData("""{"x":null,"good":"a"}""", "x", "not a string")]
    [InlineData("""{"x":{"y":["a"]},"good":"a"}""", "x", "not a string")]
    [InlineData("""{"x":["a","b"],"good":"a"}""", "x", "not a string")]
    [InlineData("""{"x":"a","good":"a","x":"a"}""", "x", "given twice")]
    [InlineData("""{"x":"a","good":"a","x":"b"}""", "x", "given twice")]
    [InlineData("""{"x":1,"good":"a","x":"b","\u0078":"a"}""", "x", "given twice")]
    [InlineData("""{"x\u0000":"a","good":"a"}""", "x\0", "no tensor may have such a name")]
    [InlineData("""{"__metadata__":"a","good":"a"}""", "__metadata__", "no tensor may have such a name")]
    public async Task Open_TieThatIsMalformed_IsIgnoredWithAWarningAndTheRestIsRead(string text, string alias, string reason)
    {
        await using var checkpoint = await Opening.AcceptedAsync(Tied(text));
        Assert.Equal(["a", "good", "b"], checkpoint.Tensors.Select(tensor => tensor.Name));
        Assert.Equal(text, checkpoint.Metadata["ties"]);
        AssertIgnored(checkpoint, alias, reason);
    }

    [Theory]
    [InlineData("""{"x":"unknown","good":"a"}""", "x", "no tensor 'unknown'")]
    [InlineData("""{"x":"good","good":"a"}""", "x", "an alias itself")]
    [InlineData("""{"b":"a","good":"a"}""", "b", "stores a tensor of this name")]
    [InlineData("""{"a":"a","good":"a"}""", "a", "stores a tensor of this name")]
    [InlineData("""{"x":"x","good":"a"}""", "x", "an alias itself")]
    [InlineData("""{"x":"","good":"a"}""", "x", "no tensor ''")]
    public async Task Open_TieThatDoesNotFitTheTensors_IsIgnoredWithAWarning(string text, string alias, string reason)
    {
        await using var checkpoint = await Opening.AcceptedAsync(Tied(text));
        Assert.Equal(["a", "good", "b"], checkpoint.Tensors.Select(tensor => tensor.Name));
        Assert.Null(checkpoint["a"].TiedTo);
        Assert.Null(checkpoint["b"].TiedTo);
        Assert.False(checkpoint.Metadata.ContainsKey("ties"));
        AssertIgnored(checkpoint, alias, reason);
    }

    [Fact]
    public async Task Open_TiesInACircle_AreAllIgnored()
    {
        await using var checkpoint = await Opening.AcceptedAsync(Tied("""{"x":"y","y":"x"}"""));
        Assert.Equal(2, checkpoint.Tensors.Length);
        Assert.Equal(2, checkpoint.Warnings.Length);
    }

    [Fact]
    public async Task Open_AliasThatWritesToTheTerminal_IsEscapedInItsWarning()
    {
        await using var checkpoint = await Opening.AcceptedAsync(Tied("""{"\u001b[2J":"unknown"}"""));
        Assert.Contains("'\\u001b[2J'", Assert.Single(checkpoint.Warnings).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_TenThousandAliases_AreAllThere()
    {
        const int count = 10_000;
        var names = Enumerable.Range(0, count).Select(i => string.Create(CultureInfo.InvariantCulture, $"x{i:D5}")).ToArray();
        var text = JsonSerializer.Serialize(names.Reverse().ToDictionary(name => name, name => "b"));
        await using var checkpoint = await Opening.AcceptedAsync(Tied(text));
        Assert.Equal(["a", "b", .. names], checkpoint.Tensors.Select(tensor => tensor.Name));
        Assert.All(names, name => Assert.Equal("b", checkpoint[name].TiedTo));
        Assert.Equal(7, checkpoint.TensorBytes);
    }

    [Fact]
    public async Task Open_TenThousandBadTies_AreAHundredWarningsAndTheirNumber()
    {
        var text = JsonSerializer.Serialize(Enumerable.Range(0, 10_000).ToDictionary(i => $"x{i}", _ => "unknown"));
        await using var checkpoint = await Opening.AcceptedAsync(Tied(text));
        Assert.Equal(101, checkpoint.Warnings.Length);
        Assert.Contains("9900 more ties", checkpoint.Warnings[^1].Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_DeepNestingInTies_IsAWarning()
    {
        var text = "{\"x\":" + new string('[', 100_000);
        await using var checkpoint = await Opening.AcceptedAsync(Tied(text));
        Assert.Contains("not JSON", Assert.Single(checkpoint.Warnings).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Write_SortsByAlias()
    {
        Assert.Equal(
            """{"B":"t","a":"t","é":"t \" \\ 语"}""",
            SafetensorsTies.Write(new Dictionary<string, string> { ["é"] = "t \" \\ 语", ["a"] = "t", ["B"] = "t" }));
        Assert.Equal("{}", SafetensorsTies.Write(new Dictionary<string, string>()));
    }

    // Half of a surrogate pair cannot be kept in an attribute.
    public static TheoryData<string, string> TiesThatNobodyReads() =>
        new() { { "x\0", "a" }, { "x", "a\0" }, { "\ud800", "a" }, { "x", "\udc00" }, { "__metadata__", "a" }, { "x", "__metadata__" }, { "x", "x" } };

    [Theory]
    [MemberData(nameof(TiesThatNobodyReads), DisableDiscoveryEnumeration = true)]
    public void Write_TieThatNobodyReads_Throws(string alias, string target)
    {
        var exception = Assert.Throws<ArgumentException>("ties", () => SafetensorsTies.Write(new Dictionary<string, string> { [alias] = target }));
        Assert.Contains(Quoted.Name(alias), exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Write_Chain_Throws() => Assert.Throws<ArgumentException>(
        "ties", () => SafetensorsTies.Write(new Dictionary<string, string> { ["x"] = "y", ["y"] = "a" }));

    [Fact]
    public async Task WriteAndOpen_NamesWithUnusualCharacters_ComeBack()
    {
        string[] names = ["", " ", "\"", "\\", "/", "\n\t\r", "\u001b[31m", "é", "e\u0301", "\u202e", "\uffff", "😀", "{\"x\":1}", "'", "<&>", new string('n', 5000)];
        using var folder = new TemporaryFolder();
        var ties = names.ToDictionary(name => name + "!alias", name => name);
        await using (var writer = await SafetensorsWriter.CreateAsync(
            folder["a.safetensors"],
            names.Select(name => new SafetensorsTensor(name, DType.U8, new Shape(1))),
            new Dictionary<string, string> { ["ties"] = SafetensorsTies.Write(ties), ["format"] = "pt" }))
        {
            foreach (var name in names)
            {
                await writer.WriteAsync(name, 0, new byte[1]);
            }

            await writer.CommitAsync();
        }

        await using var checkpoint = await Opening.AcceptedAsync(await File.ReadAllBytesAsync(folder["a.safetensors"]));
        Assert.Empty(checkpoint.Warnings);
        Assert.Equal(
            ties.OrderBy(tie => tie.Key, StringComparer.Ordinal),
            checkpoint.Tensors.Where(tensor => tensor.TiedTo is not null)
                .Select(tensor => KeyValuePair.Create(tensor.Name, tensor.TiedTo!))
                .OrderBy(tie => tie.Key, StringComparer.Ordinal));
        Assert.Equal(names.Length, checkpoint.TensorBytes);
    }

    [Fact]
    public async Task Verify_AFileOfWhichAnAliasNamesAlmostAll_LooksAtItsOwnBytesOnly()
    {
        // Counted twice, its bytes would be a reason to look for a tail that is longer than the file.
        var data = new byte[700_000];
        using var folder = new TemporaryFolder();
        var path = folder.Write("a.safetensors", new SafetensorsBuilder()
            .AddMetadata(new Dictionary<string, string> { ["ties"] = """{"x":"a"}""" })
            .Add("a", "U8", [(ulong)data.Length], data)
            .ToBytes());
        var result = await CheckpointVerifier.VerifyAsync(path);
        Assert.Null(result.Failure);
        Assert.Empty(result.Warnings);
    }

    private static void AssertIgnored(Checkpoint checkpoint, string alias, string reason)
    {
        var warning = Assert.Single(checkpoint.Warnings);
        Assert.Equal(Opening.Name, warning.File);
        Assert.StartsWith($"the tie of {Quoted.Name(alias)} is ignored: ", warning.Message, StringComparison.Ordinal);
        Assert.Contains(reason, warning.Message, StringComparison.Ordinal);
    }

    private static byte[] Tied(string ties) => new SafetensorsBuilder()
        .AddMetadata(new Dictionary<string, string> { ["format"] = "pt", ["ties"] = ties })
        .Add("a", "F32", [1], [0, 0, 128, 63])
        .Add("b", "U8", [3], [1, 2, 3])
        .ToBytes();
}
