using System.Text;
using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>What the writer writes, byte by byte: formats.md section 1.5.</summary>
public sealed class SafetensorsWriterTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task File_IsTheBytesOfTheFormat()
    {
        var file = await WriteAsync(
            [new("b", DType.U8, new Shape(3)), new("a\"é語", DType.F32, Shape.Scalar), new("a", DType.U8, new Shape(0, 5))],
            new Dictionary<string, string> { ["z"] = "ü", ["format"] = "pt" });
        const string header = """
            {"__metadata__":{"format":"pt","z":"ü"},"a\"é語":{"dtype":"F32","shape":[],"data_offsets":[0,4]},
            "a":{"dtype":"U8","shape":[0,5],"data_offsets":[4,4]},"b":{"dtype":"U8","shape":[3],"data_offsets":[4,7]}}
            """;
        // WriteAsync gives each tensor the bytes 0, 1, 2 and so on.
        Assert.Equal(SafetensorsBuilder.File(Padded(header.ReplaceLineEndings("")), [0, 1, 2, 3, 0, 1, 2]), file);
    }

    [Fact]
    public async Task File_WithoutTensors_IsAnEmptyObject() =>
        Assert.Equal(SafetensorsBuilder.File("{}      "), await WriteAsync([], new Dictionary<string, string>()));

    [Fact]
    public async Task Tensors_OfAllTypes_AreInTheReverseOfTheReferencesEnum()
    {
        var shuffled = DType.All.Where(dtype => dtype.IsSafetensors).ToArray();
        new Random(5).Shuffle(shuffled);
        var file = await WriteAsync([.. shuffled.Select(dtype => new SafetensorsTensor($"of {dtype}", dtype, new Shape(3, 4)))]);
        await using var checkpoint = await Opening.AcceptedAsync(file);
        Assert.Equal(SafetensorsTypes.InEnumOrder.Reverse(), checkpoint.Tensors.Select(tensor => tensor.DType.Name));
        Assert.All(checkpoint.Tensors, tensor => Assert.Equal(SafetensorsTypes.Bits[tensor.DType.Name] * 12, tensor.ByteLength * 8));
        Assert.All(checkpoint.Tensors, tensor => Assert.Equal(new Shape(3, 4), tensor.Shape));
    }

    [Fact]
    public async Task Tensors_OfOneType_AreInTheOrderOfTheirUtf8Bytes()
    {
        // In UTF-16 the surrogates of 😀 come before U+FF21; in UTF-8 they come behind.
        string[] names = ["\uff21", "😀", "b.10", "b.2", "B", "", "é", "b"];
        var file = await WriteAsync([.. names.Select(name => new SafetensorsTensor(name, DType.U8, new Shape(1)))]);
        await using var checkpoint = await Opening.AcceptedAsync(file);
        Assert.Equal(["", "B", "b", "b.10", "b.2", "é", "\uff21", "😀"], checkpoint.Tensors.Select(tensor => tensor.Name));
    }

    [Fact]
    public async Task Header_IsPaddedWithSpaces_ToEightBytes()
    {
        for (var length = 1; length <= 16; length++)
        {
            var file = await WriteAsync([new(new string('n', length), DType.U8, new Shape(1))]);
            var headerLength = BitConverter.ToInt64(file);
            Assert.Equal(0, headerLength % 8);
            Assert.Equal(8 + headerLength + 1, file.Length);
            var header = Encoding.UTF8.GetString(file, 8, (int)headerLength);
            Assert.InRange(header.Length - header.TrimEnd(' ').Length, 0, 7);
            Assert.EndsWith("}}", header.TrimEnd(' '), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task File_OfTheSameContentInAnotherOrder_HasTheSameBytes()
    {
        SafetensorsTensor[] tensors = [.. Enumerable.Range(0, 50).Select(i => new SafetensorsTensor($"t{i}", (DType)(i % 22), new Shape(4)))];
        var metadata = Enumerable.Range(0, 20).ToDictionary(i => $"key{i}", i => $"value{i}");
        var first = await WriteAsync(tensors, metadata);
        var second = await WriteAsync([.. tensors.Reverse()], metadata.Reverse().ToDictionary());
        Assert.Equal(first, second);
    }

    [Theory]
    [InlineData("__metadata__")]
    [InlineData("a\0b")]
    [InlineData("HALF")]
    [InlineData("aHALF")]
    [InlineData("😀HALFb")]
    public async Task Name_ThatCannotBeWritten_IsRefused(string name)
    {
        name = WithHalf(name);
        var exception = await RefusedAsync([new("good", DType.F32, new Shape(1)), new(name, DType.F32, new Shape(1))]);
        Assert.Equal("tensors", exception.ParamName);
        Assert.Contains(Quoted.Name(name), exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Name_GivenTwice_IsRefused_OfWhateverType()
    {
        var exception = await RefusedAsync([new("a", DType.F32, new Shape(1)), new("b", DType.U8, new Shape(1)), new("a", DType.U8, new Shape(1))]);
        Assert.Contains("Two tensors are named 'a'", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(DType.C32, 32)]
    [InlineData(DType.C128, 32)]
    [InlineData(DType.Q4_0, 32)]
    [InlineData(DType.MXFP4, 32)]
    [InlineData(DType.F4, 3)]
    [InlineData(DType.F6_E3M2, 6)]
    public async Task Type_ThatASafetensorsFileCannotHold_IsRefused(DType dtype, long elements)
    {
        var exception = await RefusedAsync([new("a", dtype, new Shape(elements))]);
        Assert.Contains($"'a': {dtype} [{elements}]", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("key\0", "value")]
    [InlineData("key", "\0value")]
    [InlineData("keyHALF", "value")]
    [InlineData("key", "valueHALF😀")]
    public async Task Metadata_ThatCannotBeWritten_IsRefused(string key, string value)
    {
        (key, value) = (WithHalf(key), WithHalf(value));
        var exception = await RefusedAsync([], new Dictionary<string, string> { ["good"] = "1", [key] = value });
        Assert.Equal("metadata", exception.ParamName);
        Assert.Contains(Quoted.Name(key), exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Header_LargerThanReadersAccept_IsRefusedBeforeAnythingIsMade()
    {
        var value = new string('v', 10_000_000);
        var exception = await Assert.ThrowsAsync<CheckpointLimitException>(
            () => SafetensorsWriter.CreateAsync(_folder["f"], [], Enumerable.Range(0, 10).ToDictionary(i => $"k{i}", _ => value)));
        Assert.Equal(CheckpointErrorCode.HeaderTooLarge, exception.Code);
        Assert.Equal(100_000_000, exception.Maximum);
        Assert.InRange(exception.Actual, 100_000_001, 100_001_000);
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Sizes_ThatOverflow_AreRefusedBeforeAnythingIsMade()
    {
        await Assert.ThrowsAsync<OverflowException>(
            () => SafetensorsWriter.CreateAsync(_folder["f"], [new("a", DType.F64, new Shape(1L << 60))]));
        await Assert.ThrowsAsync<OverflowException>(
            () => SafetensorsWriter.CreateAsync(
                _folder["f"], [new("a", DType.U8, new Shape(long.MaxValue)), new("b", DType.U8, new Shape(1))]));
        await Assert.ThrowsAsync<OverflowException>(
            () => SafetensorsWriter.CreateAsync(_folder["f"], [new("a", DType.U8, new Shape(long.MaxValue))]));
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    // An attribute cannot hold half of a surrogate pair: its text is UTF-8.
    private static string WithHalf(string text) => text.Replace("HALF", "\ud83d", StringComparison.Ordinal);

    private static string Padded(string header) => header + new string(' ', -Encoding.UTF8.GetByteCount(header) & 7);

    private async Task<byte[]> WriteAsync(SafetensorsTensor[] tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        await using (var writer = await SafetensorsWriter.CreateAsync(_folder["f"], tensors, metadata))
        {
            foreach (var tensor in writer.Tensors)
            {
                var bytes = new byte[tensor.DType.ByteCount(tensor.Shape.ElementCount)];
                for (var i = 0; i < bytes.Length; i++)
                {
                    bytes[i] = (byte)i;
                }

                await writer.WriteAsync(tensor.Name, 0, bytes);
            }

            await writer.CommitAsync();
        }

        return await File.ReadAllBytesAsync(_folder["f"]);
    }

    private async Task<ArgumentException> RefusedAsync(SafetensorsTensor[] tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var exception = await Assert.ThrowsAsync<ArgumentException>(() => SafetensorsWriter.CreateAsync(_folder["f"], tensors, metadata));
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
        return exception;
    }
}
