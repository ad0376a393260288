using System.Globalization;
using System.Text.Json;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>The reference's own verdict on every file of the golden set.</summary>
public sealed class SafetensorsGoldenTests
{
    private const string Set = "safetensors";

    // The reference collapses a repeated key in a hash map and then complains about offsets, or not at all; we name it.
    private static readonly HashSet<string> RepeatedKeys = ["dup_key.safetensors", "dup_key_diff.safetensors"];

    public static TheoryData<string, string, string> Verdicts()
    {
        using var document = JsonDocument.Parse(GoldenArchive.Read(Set, "verdicts.json"));
        var rows = new TheoryData<string, string, string>();
        foreach (var file in document.RootElement.GetProperty("verdicts").EnumerateObject())
        {
            rows.Add(file.Name, file.Value.GetProperty("verdict").GetString()!, file.Value.GetProperty("detail").GetString()!);
        }

        return rows;
    }

    [Fact]
    public void Verdicts_OfTheSet_CoverEveryFile()
    {
        var judged = Verdicts().Select(row => (string)row[0]).Order(StringComparer.Ordinal);
        Assert.Equal(GoldenArchive.Names(Set).Where(name => name != "verdicts.json").Order(StringComparer.Ordinal), judged);
    }

    [Theory]
    [MemberData(nameof(Verdicts))]
    public async Task Open_GoldenFile_HasTheReferencesVerdict(string file, string verdict, string detail)
    {
        var content = GoldenArchive.Read(Set, file);
        if (RepeatedKeys.Contains(file))
        {
            await Opening.InvalidAsync(content, CheckpointErrorCode.DuplicateTensor, "a");
        }
        else if (verdict == "OK")
        {
            await using var checkpoint = await Opening.AcceptedAsync(content);
            Assert.StartsWith(
                string.Create(CultureInfo.InvariantCulture, $"{checkpoint.Tensors.Length} tensors "), detail, StringComparison.Ordinal);
            Assert.Equal(detail.EndsWith("meta=None", StringComparison.Ordinal), checkpoint.Metadata.Count == 0);
        }
        else
        {
            var exception = await Assert.ThrowsAnyAsync<CheckpointException>(
                () => Checkpoint.OpenAsync(new MemorySource(content, Opening.Name)));
            Assert.Contains(exception.Code, CodesFor(detail));
        }
    }

    [Theory]
    [InlineData("array_tensor.safetensors", "a", "F32", new long[] { 1 })]
    [InlineData("escape_name.safetensors", "é😀", "F32", new long[] { 1 })]
    [InlineData("empty_name.safetensors", "", "F32", new long[] { 1 })]
    [InlineData("ok_scalar.safetensors", "a", "F32", new long[0])]
    [InlineData("ok_zero_dim.safetensors", "a", "F32", new long[] { 0, 5 })]
    [InlineData("f4_ok.safetensors", "a", "F4", new long[] { 4 })]
    [InlineData("f6_ok.safetensors", "a", "F6_E2M3", new long[] { 4 })]
    [InlineData("bool_val2.safetensors", "a", "BOOL", new long[] { 2 })]
    public async Task Open_GoldenFileWithOneTensor_HasItsNameTypeAndShape(string file, string name, string dtype, long[] shape)
    {
        await using var checkpoint = await Opening.AcceptedAsync(GoldenArchive.Read(Set, file));
        var tensor = checkpoint[name];
        Assert.Equal(dtype, tensor.DType.Name);
        Assert.Equal(shape, tensor.Shape);
        Assert.True(tensor.IsWholeStorage);
    }

    [Fact]
    public async Task Open_HeaderInAnotherOrderThanTheData_ListsTensorsInTheOrderOfTheirBytes()
    {
        await using var checkpoint = await Opening.AcceptedAsync(GoldenArchive.Read(Set, "unordered.safetensors"));
        Assert.Equal(["a", "b"], checkpoint.Tensors.Select(tensor => tensor.Name));
    }

    [Theory]
    [InlineData("alltypes.safetensors")]
    [InlineData("nopad.safetensors")]
    [InlineData("fp8.safetensors")]
    public async Task Open_GoldenFileWithValues_HasShapesStridesAndBytesOfTheManifest(string file)
    {
        var content = GoldenArchive.Read(TorchManifest.Set, file);
        await using var checkpoint = await Opening.AcceptedAsync(content);
        foreach (var (name, expected) in TorchManifest.Tensors(file))
        {
            var tensor = checkpoint[name];
            var values = NpyFile.Golden(TorchManifest.Set, expected.Expected!);
            Assert.Equal(TorchName(tensor.DType), expected.DType);
            Assert.Equal(expected.Shape, tensor.Shape);
            Assert.Equal(values.Shape, tensor.Shape);
            Assert.Equal(expected.Stride, tensor.Shape.RowMajorStrides());
            var bytes = new byte[tensor.ByteLength];
            await tensor.File.Source.ReadExactlyAsync(tensor.Offset, bytes);
            Assert.Equal(values.Data, bytes);
        }
    }

    [Fact]
    public async Task Open_GoldenFileWithMetadata_KeepsTextBeyondAscii()
    {
        await using var checkpoint = await Opening.AcceptedAsync(GoldenArchive.Read(TorchManifest.Set, "alltypes.safetensors"));
        Assert.Equal("çode", checkpoint.Metadata["ünï"]);
        Assert.Equal("pt", checkpoint.Metadata["format"]);
        Assert.Equal(14, checkpoint.Tensors.Length);
    }

    private static CheckpointErrorCode[] CodesFor(string detail) => detail.Split('(')[0] switch
    {
        "HeaderTooSmall" => [CheckpointErrorCode.HeaderTooSmall],
        "HeaderTooLarge" => [CheckpointErrorCode.HeaderTooLarge],
        "InvalidHeaderLength" => [CheckpointErrorCode.HeaderOutOfFile],
        "InvalidHeader" => [CheckpointErrorCode.HeaderNotUtf8],
        "InvalidHeaderDeserialization" =>
        [
            CheckpointErrorCode.HeaderNotJson,
            CheckpointErrorCode.HeaderFieldInvalid,
            CheckpointErrorCode.UnknownDType,
            CheckpointErrorCode.MetadataInvalid,
        ],
        "InvalidOffset" => [CheckpointErrorCode.OffsetInvalid],
        "ValidationOverflow" => [CheckpointErrorCode.SizeOverflow],
        "MisalignedSlice" => [CheckpointErrorCode.MisalignedTensor],
        "TensorInvalidInfo" => [CheckpointErrorCode.SizeMismatch],
        "MetadataIncompleteBuffer" => [CheckpointErrorCode.FileTruncated, CheckpointErrorCode.TrailingBytes],
        var other => throw new InvalidOperationException($"No code of ours stands for the reference's {other}."),
    };

    private static string TorchName(DType dtype) => dtype switch
    {
        DType.BOOL => "bool",
        DType.BF16 => "bfloat16",
        DType.U8 => "uint8",
        _ when dtype.ToString() is ['F', .. var bits] => "float" + bits,
        _ when dtype.ToString() is ['I', .. var bits] => "int" + bits,
        _ => throw new InvalidOperationException($"{dtype} is not in these files."),
    };
}
