using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>What the writer does not write, since readers refuse it, and that nothing is left in the folder then.</summary>
public sealed class GgufWriterRefusalTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Target => _folder["a.gguf"];

    public void Dispose()
    {
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path, ".*"));
        _folder.Dispose();
    }

    // Neither attributes nor the list that a test run passes around can keep half of a surrogate pair.
    public static TheoryData<string> NamesThatNoReaderTakes() =>
        ["", "a\0b", "\ud800", new string('n', 64), string.Concat(Enumerable.Repeat("é", 32))];

    public static TheoryData<string, object?> MetadataThatNoReaderTakes() => new()
    {
        { "", "empty" },
        { new string('k', 65_536), "long" },
        { "\udfff", "half" },
        { "half", "\ud800" },
        { "fine", "twice" },
        { "type", 1m },
        { "type", 'c' },
        { "type", new int[1] },
        { "type", DType.F32 },
        { "type", null },
        { "deep", Nested(64) },
        { "general.alignment", 64 },
        { "general.alignment", 48u },
        { "general.alignment", 0u },
        { "general.alignment", 1u << 21 },
        { "general.alignment", "32" },
    };

    [Theory]
    [MemberData(nameof(NamesThatNoReaderTakes), DisableDiscoveryEnumeration = true)]
    public async Task Create_NameThatNoReaderTakes_Throws(string name)
    {
        var exception = await CreateRefusedAsync<ArgumentException>([new(name, DType.F32, Shape.Scalar)]);
        Assert.Equal("tensors", exception.ParamName);
        Assert.Contains(Quoted.Name(name), exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(63)]
    [InlineData(1)]
    public async Task Create_LongestAndShortestName_IsTaken(int length)
    {
        await using (var writer = await GgufWriter.CreateAsync(Target, [new(new string('n', length), DType.F32, new Shape(0))]))
        {
            await writer.CommitAsync();
        }

        await using var checkpoint = await Checkpoint.OpenAsync(Target);
        Assert.Equal(length, checkpoint.Tensors[0].Name.Length);
    }

    [Fact]
    public async Task Create_NameGivenTwice_NamesIt()
    {
        var exception = await CreateRefusedAsync<ArgumentException>(
            [new("twice", DType.I8, Shape.Scalar), new("once", DType.I8, Shape.Scalar), new("twice", DType.F32, Shape.Scalar)]);
        Assert.Contains("'twice'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Create_TypeThatGgmlHasNot_Throws()
    {
        var others = DType.All.Except(GgufTypes.All).ToArray();
        Assert.Contains(DType.BOOL, others);
        Assert.Contains(DType.F8_E4M3, others);
        foreach (var dtype in others)
        {
            var exception = await CreateRefusedAsync<ArgumentException>([new("a", dtype, new Shape(256))]);
            Assert.Contains($"'a', {dtype} [256], cannot be stored in a GGUF file: {dtype}.", exception.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Create_FiveDimensions_Throws()
    {
        var exception = await CreateRefusedAsync<ArgumentException>([new("a", DType.F32, new Shape(1, 1, 1, 1, 1))]);
        Assert.Contains("5 dimensions, and GGUF has 4 at most", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Create_RowsThatAreNoWholeBlocks_Throws()
    {
        // All elements together would fill blocks; a row does not.
        foreach (var dtype in GgufTypes.All.Where(dtype => dtype.IsBlock))
        {
            var exception = await CreateRefusedAsync<ArgumentException>([new("a", dtype, new Shape(dtype.BlockLength, dtype.BlockLength - 1))]);
            Assert.Contains($"whole blocks of {dtype.BlockLength}", exception.Message, StringComparison.Ordinal);
            await CreateRefusedAsync<ArgumentException>([new("scalar", dtype, Shape.Scalar)]);
        }
    }

    [Theory]
    [MemberData(nameof(MetadataThatNoReaderTakes), DisableDiscoveryEnumeration = true)]
    public async Task Create_MetadataThatNoReaderTakes_Throws(string key, object? value)
    {
        var exception = await CreateRefusedAsync<ArgumentException>(
            [], [KeyValuePair.Create<string, object>("fine", GgufArray.Create<int>(1)), KeyValuePair.Create(key, value!)]);
        Assert.Equal("metadata", exception.ParamName);
    }

    [Fact]
    public async Task Create_ArraysAsDeepAsReadersTake_AreTaken()
    {
        await using (var writer = await GgufWriter.CreateAsync(Target, [], [KeyValuePair.Create<string, object>("deep", Nested(63))]))
        {
            await writer.CommitAsync();
        }

        await using var checkpoint = await Checkpoint.OpenAsync(Target);
        Assert.Equal(Nested(63), checkpoint.Metadata["deep"]);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-32)]
    [InlineData(24)]
    [InlineData(1 << 21)]
    [InlineData(int.MinValue)]
    public async Task Create_AlignmentThatNoReaderTakes_Throws(int alignment)
    {
        var exception = await Assert.ThrowsAsync<ArgumentException>(() => GgufWriter.CreateAsync(Target, [], alignment: alignment));
        Assert.Equal("alignment", exception.ParamName);
    }

    [Fact]
    public async Task Create_HeaderAboveWhatReadersTake_Throws()
    {
        // Twenty times the same array of 8 MiB, which takes memory once; the header would have them all.
        var large = GgufArray.Create(new byte[8 << 20]);
        var exception = await CreateRefusedAsync<CheckpointLimitException>(
            [], Enumerable.Range(0, 20).Select(i => KeyValuePair.Create<string, object>($"k{i}", large)));
        Assert.Equal((CheckpointErrorCode.HeaderTooLarge, GgufLimits.DefaultMaximumHeaderBytes), (exception.Code, exception.Maximum));
        Assert.Contains(Target, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Create_MoreThanReadersTake_Throws()
    {
        var tensors = await CreateRefusedAsync<CheckpointLimitException>(
            Enumerable.Range(0, GgufLimits.DefaultMaximumTensors + 1).Select(i => new GgufTensor($"{i}", DType.I8, new Shape(0))));
        Assert.Equal((CheckpointErrorCode.LimitExceeded, 131_073m), (tensors.Code, tensors.Actual));
        var text = new string('x', 30 << 20);
        var expansion = await CreateRefusedAsync<CheckpointLimitException>([], [KeyValuePair.Create<string, object>("a", text), KeyValuePair.Create<string, object>("b", text)]);
        Assert.Equal(GgufLimits.DefaultMaximumExpansionBytes, expansion.Maximum);
        foreach (var (metadata, expected) in new (IEnumerable<KeyValuePair<string, object>>, string)[]
        {
            (Enumerable.Range(0, 65_537).Select(i => KeyValuePair.Create<string, object>($"{i}", 1u)), "65537 metadata entries"),
            ([KeyValuePair.Create<string, object>("k", new string('x', (32 << 20) + 1))], "more than 33554432 bytes"),
            ([KeyValuePair.Create<string, object>("k", GgufArray.Create(new byte[(8 << 20) + 1]))], "more than 8388608 elements"),
            ([KeyValuePair.Create<string, object>("k", GgufArray.Create([GgufArray.Create(new byte[(8 << 20) + 1])]))], "more than 8388608 elements"),
        })
        {
            var exception = await CreateRefusedAsync<ArgumentException>([], metadata);
            Assert.Equal("metadata", exception.ParamName);
            Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Create_SizeBeyondSixtyThreeBits_Throws()
    {
        await CreateRefusedAsync<ArgumentException>([new("a", DType.I8, new Shape(long.MaxValue))]);
        await CreateRefusedAsync<ArgumentException>([new("a", DType.I8, new Shape(long.MaxValue - 63)), new("b", DType.I8, new Shape(1))]);
        await CreateRefusedAsync<ArgumentException>([new("a", DType.F64, new Shape(1L << 60))]);
    }

    [Fact]
    public async Task Create_LargerThanAnyDisk_ThrowsBeforeAnythingIsWritten()
    {
        await CreateRefusedAsync<IOException>([new("a", DType.I8, new Shape(1L << 61))]);
    }

    [Fact]
    public async Task Create_CancelledToken_Throws()
    {
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => GgufWriter.CreateAsync(Target, [], cancellationToken: new CancellationToken(canceled: true)));
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Create_OverAFileThatMayNotBeReplaced_LeavesIt()
    {
        _folder.Write("a.gguf", "old");
        await Assert.ThrowsAsync<IOException>(() => GgufWriter.CreateAsync(Target, [], overwrite: false));
        await using (await GgufWriter.CreateAsync(Target, []))
        {
        }

        Assert.Equal("old", await File.ReadAllTextAsync(Target));
    }

    [Fact]
    public async Task Commit_TensorNotWrittenWhole_NamesItAndLeavesNothing()
    {
        await using (var writer = await GgufWriter.CreateAsync(Target, [new("whole", DType.I8, new Shape(4)), new("half", DType.I8, new Shape(4))]))
        {
            await writer.WriteAsync("whole", 0, new byte[4]);
            await writer.WriteAsync("half", 2, new byte[2]);
            var exception = await Assert.ThrowsAsync<InvalidOperationException>(async () => await writer.CommitAsync());
            Assert.Contains("2 of 4 bytes of tensor 'half'", exception.Message, StringComparison.Ordinal);
            // What is padding belongs to no tensor.
            await Assert.ThrowsAsync<ArgumentException>(async () => await writer.WriteAsync("whole", 4, new byte[1]));
        }

        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    private static GgufArray Nested(int arraysAround)
    {
        var array = GgufArray.Create<byte>(1);
        for (var i = 0; i < arraysAround; i++)
        {
            array = GgufArray.Create([array]);
        }

        return array;
    }

    private async Task<TException> CreateRefusedAsync<TException>(
        IEnumerable<GgufTensor> tensors, IEnumerable<KeyValuePair<string, object>>? metadata = null)
        where TException : Exception
    {
        var exception = await Assert.ThrowsAsync<TException>(() => GgufWriter.CreateAsync(Target, tensors, metadata));
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
        return exception;
    }
}
