using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using System.Runtime.InteropServices;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Every file that PyTorch 1.13 wrote for the golden set, against what its manifest and expected values say.</summary>
public sealed class TorchGoldenTests
{
    public static TheoryData<string> Files => [.. GoldenTorch.FileNames];

    [Theory]
    [MemberData(nameof(Files))]
    public async Task Open_GoldenFile_HasTheManifestsTensorsBitForBit(string file)
    {
        await using var checkpoint = await OpenAsync(file);
        var byStorage = new Dictionary<int, (long Offset, long ByteLength)>();
        var dense = TorchManifest.Tensors(file).Where(tensor => tensor.Value.Layout is null).ToArray();
        foreach (var (path, expected) in dense)
        {
            var tensor = checkpoint[path.Replace('/', '.')];
            Assert.Equal(GoldenTorch.DTypeOf(expected.DType), tensor.DType);
            Assert.Equal(expected.Shape!, tensor.Shape);
            if (expected.Stride is { } strides)
            {
                Assert.Equal(strides, TorchOpening.Strides(tensor));
            }

            // Storages without bytes have one address in PyTorch, and places of their own in a file.
            if (expected.Storage is { } storage && tensor.ByteLength > 0)
            {
                Assert.Equal(expected.StorageOffset, tensor.StorageOffset);
                Assert.Equal((tensor.Offset, tensor.ByteLength), byStorage.TryAdd(storage, (tensor.Offset, tensor.ByteLength)) ? (tensor.Offset, tensor.ByteLength) : byStorage[storage]);
            }

            var values = NpyFile.Golden(TorchManifest.Set, expected.Expected!);
            AssertSame(values.RowMajor(), await TorchOpening.ValuesAsync(tensor), tensor.DType);
        }

        // No two storages of the manifest are one here.
        Assert.Equal(byStorage.Count, byStorage.Values.Distinct().Count());
        if (dense.Length == TorchManifest.Tensors(file).Count && !file.StartsWith("quantized", StringComparison.Ordinal))
        {
            var arrays = checkpoint.Tensors.Count(tensor => tensor.Name.StartsWith("np_", StringComparison.Ordinal));
            Assert.Equal(dense.Length, checkpoint.Tensors.Length - arrays);
        }
    }

    [Theory]
    [MemberData(nameof(Files))]
    public async Task Open_GoldenFile_OrdersTensorsByStorageAndTiesEqualViews(string file)
    {
        await using var checkpoint = await OpenAsync(file);
        var tensors = checkpoint.Tensors;
        Assert.Equal(tensors.Select(tensor => tensor.Offset).Order(), tensors.Select(tensor => tensor.Offset));
        foreach (var tensor in tensors)
        {
            var first = tensors.First(other =>
                (other.Offset, other.ByteLength, other.DType, other.Shape, other.StorageOffset) == (tensor.Offset, tensor.ByteLength, tensor.DType, tensor.Shape, tensor.StorageOffset)
                && TorchOpening.Strides(other).SequenceEqual(TorchOpening.Strides(tensor)));
            Assert.Equal(first == tensor ? null : first.Name, tensor.TiedTo);
        }
    }

    [Theory]
    [MemberData(nameof(Files))]
    public async Task Open_GoldenFile_HasTheManifestsOtherValues(string file)
    {
        await using var checkpoint = await OpenAsync(file);
        foreach (var (path, printed) in TorchManifest.Other(file))
        {
            if (path.StartsWith("np_", StringComparison.Ordinal) && path != "np_scalar")
            {
                Assert.Contains(checkpoint.Tensors, tensor => tensor.Name == path);
                continue;
            }

            if (path == "args")
            {
                // Python prints the record; here it is its entries.
                Assert.Equal("Namespace(lr=0.1, layers=[1, 2])", printed);
                Assert.Equal(0.1, checkpoint.Metadata["args.lr"]);
                Assert.Equal(new TorchList(1L, 2L), checkpoint.Metadata["args.layers"]);
                continue;
            }

            Assert.Equal(printed, AsPython(Find(checkpoint, path)));
        }
    }

    [Theory]
    [InlineData("np_arr", DType.I64, new long[] { 2, 3 }, new long[] { 3, 1 })]
    [InlineData("np_f32", DType.F32, new long[] { 4, 3 }, new long[] { 1, 4 })]
    public async Task Open_Checkpoint_HasItsArraysOfNumPy(string name, DType dtype, long[] shape, long[] strides)
    {
        foreach (var file in (string[])["checkpoint.zip.pt", "checkpoint.legacy.pt"])
        {
            await using var checkpoint = await OpenAsync(file);
            var tensor = checkpoint[name];
            Assert.Equal(dtype, tensor.DType);
            Assert.Equal(shape, tensor.Shape);
            Assert.Equal(strides, TorchOpening.Strides(tensor));
            var values = await TorchOpening.ValuesAsync(tensor);
            // As the manifest prints them.
            if (dtype == DType.I64)
            {
                Assert.Equal([3, 8, 5, 3, 7, 7], MemoryMarshal.Cast<byte, long>(values).ToArray());
                continue;
            }

            // NumPy prints eight digits behind the point.
            Assert.Equal(
                [-0.32239854, 0.64332545, 0.36303455, -1.6747898, 1.5206757, 1.8227196, 0.35267922, 0.40751097, -0.00993549, -0.82194597, 0.10012791, 1.4984318],
                MemoryMarshal.Cast<byte, float>(values).ToArray().Select(value => (double)value),
                (expected, actual) => Math.Abs(expected - actual) < 1e-7);
        }
    }

    [Fact]
    public async Task Open_Sparse_HasThePartsOfBothLayouts()
    {
        await using var checkpoint = await OpenAsync("sparse.zip.pt");
        foreach (var (name, first) in ((string, string)[])[("coo", "indices"), ("csr", "crow_indices")])
        {
            var expected = MemoryMarshal.Cast<byte, float>(NpyFile.Golden(TorchManifest.Set, TorchManifest.Tensors("sparse.zip.pt")[name].Expected!).RowMajor()).ToArray();
            Assert.Equal(new TorchList(2L, 3L), checkpoint.Metadata[name + ".size"]);
            Assert.Equal("torch.sparse_" + name, checkpoint.Metadata[name + ".layout"]);
            var values = MemoryMarshal.Cast<byte, float>(await TorchOpening.ValuesAsync(checkpoint[name + ".values"])).ToArray();
            var rows = MemoryMarshal.Cast<byte, long>(await TorchOpening.ValuesAsync(checkpoint[$"{name}.{first}"])).ToArray();
            var dense = new float[6];
            for (var i = 0; i < values.Length; i++)
            {
                var row = name == "coo" ? rows[i] : Array.FindLastIndex(rows, start => start <= i);
                var column = name == "coo"
                    ? rows[values.Length + i]
                    : MemoryMarshal.Cast<byte, long>(await TorchOpening.ValuesAsync(checkpoint["csr.col_indices"]))[i];
                dense[(row * 3) + column] += values[i];
            }

            Assert.Equal(expected, dense);
        }
    }

    [Fact]
    public async Task Open_Quantised_HasTheParametersOfBothSchemes()
    {
        await using var checkpoint = await OpenAsync("quantized.zip.pt");
        Assert.Equal("torch.per_tensor_affine", checkpoint.Metadata["per_tensor.qscheme"]);
        Assert.Equal("torch.quint8", checkpoint.Metadata["per_tensor.dtype"]);
        Assert.Equal(0.1, checkpoint.Metadata["per_tensor.q_scale"]);
        Assert.Equal(10L, checkpoint.Metadata["per_tensor.q_zero_point"]);
        Assert.Equal("torch.per_channel_affine", checkpoint.Metadata["per_channel.qscheme"]);
        Assert.Equal(0L, checkpoint.Metadata["per_channel.q_per_channel_axis"]);
        Assert.Equal((DType.F64, 3), (checkpoint["per_channel.q_per_channel_scales"].DType, (int)checkpoint["per_channel.q_per_channel_scales"].ElementCount));
        Assert.Equal((DType.I64, 3), (checkpoint["per_channel.q_per_channel_zero_points"].DType, (int)checkpoint["per_channel.q_per_channel_zero_points"].ElementCount));
    }

    [Theory]
    [InlineData("statedict.zip.pt", TorchContainer.Zip, 3, "statedict.zip", 2, 10)]
    [InlineData("statedict.legacy.pt", TorchContainer.Stream, null, null, 2, 10)]
    [InlineData("script.jit.pt", TorchContainer.TorchScript, 3, "script.jit", 2, 4)]
    [InlineData("proto5.legacy.pt", TorchContainer.Stream, null, null, 5, 10)]
    [InlineData("proto3.zip.pt", TorchContainer.Zip, 3, "proto3.zip", 3, 10)]
    public async Task Open_GoldenFile_HasAHeader(string file, TorchContainer container, int? version, string? root, int protocol, int storages)
    {
        await using var checkpoint = await OpenAsync(file);
        Assert.Equal(new TorchHeader(container, version, false, root, protocol, storages), checkpoint.Files[0].Header);
        Assert.Equal("pytorch", checkpoint.Format);
    }

    [Theory]
    [InlineData("checkpoint.zip.pt", "argparse", "Namespace")]
    [InlineData("checkpoint.legacy.pt", "argparse", "Namespace")]
    [InlineData("wholemodule.zip.pt", "my.models", "Net")]
    [InlineData("wholemodule.legacy.pt", "my.models", "Net")]
    public async Task Open_ForeignClassesWithoutTheOption_AreRefusedAndTheOptionIsNamed(string file, string module, string name)
    {
        var exception = await TorchOpening.RefusedAsync<UnsafePickleException>(GoldenArchive.Read(TorchManifest.Set, file), CheckpointErrorCode.UnsafePickle);
        Assert.Equal((module, name), (exception.Module, exception.Name));
        Assert.Contains("--allow-unknown-globals", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_Checkpoint_FindsTheWeightsBelowModel()
    {
        await using var checkpoint = await OpenAsync("checkpoint.zip.pt");
        Assert.Equal("model", checkpoint.WeightsRoot);
        Assert.Same(checkpoint["model.fc.bias"], checkpoint["fc.bias"]);
    }

    private static Task<Checkpoint> OpenAsync(string file) =>
        TorchOpening.AcceptedAsync(GoldenArchive.Read(TorchManifest.Set, file), GoldenTorch.NamesForeignClasses(file) ? TorchOpening.Admitting : null);

    // A value, or one of the list that a path with a position at its end leads into.
    private static object Find(Checkpoint checkpoint, string path)
    {
        var name = path.Replace('/', '.');
        if (checkpoint.Metadata.TryGetValue(name, out var value))
        {
            return value;
        }

        var dot = name.LastIndexOf('.');
        var list = Assert.IsType<TorchList>(checkpoint.Metadata[name[..dot]]);
        return list[int.Parse(name.AsSpan(dot + 1), CultureInfo.InvariantCulture)];
    }

    private static string AsPython(object value) => value switch
    {
        DBNull => "None",
        bool truth => truth ? "True" : "False",
        double number => number == 1e-8 ? "1e-08" : number.ToString(CultureInfo.InvariantCulture),
        Complex complex => string.Create(CultureInfo.InvariantCulture, $"({complex.Real}+{complex.Imaginary}j)"),
        byte[] bytes => $"b'{string.Concat(bytes.Select(single => $"\\x{single:x2}"))}'",
        TorchList set => $"{{{string.Join(", ", set.Select(AsPython))}}}",
        "torch.bfloat16" => "torch.bfloat16",
        "cpu" => "device(type='cpu')",
        string text => $"'{text}'",
        _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
    };

    // Bit for bit, but NaN with any NaN: PyTorch and NumPy may have made it quiet on their way.
    private static void AssertSame(byte[] expected, byte[] actual, DType dtype)
    {
        Assert.Equal(expected.Length, actual.Length);
        var size = dtype.Kind == DTypeKind.Complex ? dtype.BlockSize / 2 : dtype.BlockSize;
        for (var i = 0; i < expected.Length; i += size)
        {
            var one = expected.AsSpan(i, size);
            var other = actual.AsSpan(i, size);
            Assert.True(one.SequenceEqual(other) || (IsNaN(one, dtype) && IsNaN(other, dtype)), $"byte {i}: {Convert.ToHexString(one)} and {Convert.ToHexString(other)}");
        }
    }

    private static bool IsNaN(ReadOnlySpan<byte> number, DType dtype) => dtype switch
    {
        DType.F16 => Half.IsNaN(BinaryPrimitives.ReadHalfLittleEndian(number)),
        DType.BF16 => float.IsNaN(BitConverter.Int32BitsToSingle(BinaryPrimitives.ReadInt16LittleEndian(number) << 16)),
        DType.F32 or DType.C64 => float.IsNaN(BinaryPrimitives.ReadSingleLittleEndian(number)),
        DType.F64 or DType.C128 => double.IsNaN(BinaryPrimitives.ReadDoubleLittleEndian(number)),
        _ => false,
    };
}
