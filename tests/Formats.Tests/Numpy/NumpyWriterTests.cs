using System.IO.Compression;
using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats.Numpy;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Arrays and archives that are written, read by NumPy, by the framework and here.</summary>
public sealed class NumpyWriterTests : IDisposable
{
    // NumPy's name of each type, or of the bytes that it becomes.
    private static readonly (DType DType, string Numpy)[] Types =
    [
        (DType.BOOL, "bool"), (DType.I8, "int8"), (DType.U8, "uint8"), (DType.I16, "int16"), (DType.U16, "uint16"), (DType.I32, "int32"),
        (DType.U32, "uint32"), (DType.I64, "int64"), (DType.U64, "uint64"), (DType.F16, "float16"), (DType.F32, "float32"),
        (DType.F64, "float64"), (DType.C64, "complex64"), (DType.C128, "complex128"), (DType.BF16, "V2"), (DType.C32, "V4"),
        (DType.F8_E4M3, "V1"), (DType.F8_E5M2, "V1"), (DType.F8_E8M0, "V1"), (DType.F8_E4M3FNUZ, "V1"), (DType.F8_E5M2FNUZ, "V1"),
    ];

    private static readonly Shape[] Shapes =
    [
        Shape.Scalar, new(7), new(0), new(3, 4), new(0, 3), new(2, 1, 5), new(1, 1, 1, 1, 1, 1, 2), new(1_000_000_000_000, 0),
        new(Enumerable.Repeat(1L, 32).ToArray()),
    ];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static byte[] Noise(long length, int seed)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    [PythonNumpyFact]
    public async Task Write_EveryTypeAndShape_IsWhatNumpySaves()
    {
        foreach (var (dtype, numpy) in Types)
        {
            foreach (var (shape, i) in Shapes.Select((shape, i) => (shape, i)))
            {
                await WriteAsync(_folder[$"{dtype}.{numpy}.{i}.npy"], new NumpyTensor("any", dtype, shape));
            }
        }

        // Loaded without pickle and saved again, every file must come out as it was.
        var report = await PythonNumpy.RunAsync(
            """
            import io
            count = 0
            for name in os.listdir(sys.argv[1]):
                path = os.path.join(sys.argv[1], name)
                stored = open(path, 'rb').read()
                array = np.load(path, allow_pickle=False)
                assert array.dtype == np.dtype(name.split('.')[1]), (name, array.dtype)
                again = io.BytesIO()
                np.save(again, array)
                # Of bytes without a meaning NumPy forgets the byte order that ml_dtypes gives them.
                assert again.getvalue() == stored.replace(b"'<V", b"'|V", 1), name
                count += 1
            print(count)
            """,
            _folder.Path);
        Assert.Equal(Types.Length * Shapes.Length, int.Parse(report, System.Globalization.CultureInfo.InvariantCulture));
    }

    [PythonNumpyFact]
    public async Task Write_Archive_IsReadByNumpy()
    {
        var tensors = Types.Select((type, i) => new NumpyTensor($"layers.{i}/größe.{type.DType}", type.DType, new Shape(3, 5))).ToArray();
        await WriteArchiveAsync(_folder["all.npz"], tensors);
        var report = await PythonNumpy.RunAsync(
            """
            with np.load(sys.argv[1], allow_pickle=False) as archive:
                for name in archive.files:
                    value = archive[name]
                    print(name, '' if isinstance(value, bytes) else f'{value.dtype} {value.shape} {value.tobytes().hex()}', sep='|')
            """,
            _folder["all.npz"]);
        var lines = report.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(
            [.. tensors.Select((tensor, i) => $"{tensor.Name}|{(Types[i].Numpy[0] == 'V' ? "|" : "")}{Types[i].Numpy} (3, 5) {Convert.ToHexStringLower(Noise(15 * tensor.DType.BlockSize, i))}"), "dtypes.json|"],
            lines);
    }

    [PythonNumpyFact]
    public async Task Read_ArchivesThatNumpySaves_GiveEveryValue()
    {
        await PythonNumpy.RunAsync(
            """
            arrays = {f'{order}{kind}{k}': np.arange(24).astype(order + kind).reshape(2, 3, 4) for order in '<>'
                      for kind in ('b1', 'i1', 'u1', 'i2', 'u2', 'i4', 'u4', 'i8', 'u8', 'f2', 'f4', 'f8', 'c8', 'c16') for k in range(1)}
            arrays['f'] = np.asfortranarray(np.arange(24, dtype='>i4').reshape(2, 3, 4))
            np.savez(sys.argv[1], **arrays)
            np.savez_compressed(sys.argv[2], **arrays)
            """,
            _folder["stored.npz"],
            _folder["deflated.npz"]);
        foreach (var name in new[] { "stored.npz", "deflated.npz" })
        {
            var content = await NpzOpening.ReadAsync(await File.ReadAllBytesAsync(_folder[name]));
            Assert.Equal(29, content.Tensors.Count);
            foreach (var tensor in content.Tensors)
            {
                Assert.Equal(new Shape(2, 3, 4), tensor.Shape);
                Assert.Equal(Enumerable.Range(0, 24).SelectMany(i => Number(tensor.DType, i)).ToArray(), await ElementWalk.ReadAsync(tensor));
            }
        }
    }

    [Fact]
    public async Task Write_Archive_IsReadBackBitForBit()
    {
        var tensors = Types.SelectMany((type, i) => Shapes.Take(7).Select((shape, j) => new NumpyTensor($"{type.DType}.{j}", type.DType, shape))).ToArray();
        await WriteArchiveAsync(_folder["all.npz"], tensors);
        var bytes = await File.ReadAllBytesAsync(_folder["all.npz"]);
        var content = await NpzOpening.ReadAsync(bytes);
        Assert.Empty(content.Warnings);
        Assert.Equal(tensors.Select(tensor => (tensor.Name, tensor.DType, tensor.Shape)), content.Tensors.Select(tensor => (tensor.Name, tensor.DType, tensor.Shape)));
        for (var i = 0; i < tensors.Length; i++)
        {
            Assert.True(content.Tensors[i].IsWholeStorage);
            Assert.Equal(0, content.Tensors[i].Offset % 64);
            Assert.Equal(Noise(content.Tensors[i].ByteLength, i), await ElementWalk.ReadAsync(content.Tensors[i]));
        }

        // The framework holds every entry against its CRC-32.
        using var archive = new ZipArchive(new MemoryStream(bytes));
        Assert.Equal([.. tensors.Select(tensor => tensor.Name + ".npy"), "dtypes.json"], archive.Entries.Select(entry => entry.FullName));
        foreach (var entry in archive.Entries)
        {
            await using var stream = await entry.OpenAsync();
            await stream.CopyToAsync(Stream.Null);
        }
    }

    [Fact]
    public async Task Write_OnlyTypesOfNumpy_LeavesOutTheRecordOfTypes()
    {
        await WriteArchiveAsync(_folder["a.npz"], [new NumpyTensor("a", DType.F32, new Shape(2))]);
        using var archive = new ZipArchive(File.OpenRead(_folder["a.npz"]));
        Assert.Equal("a.npy", Assert.Single(archive.Entries).FullName);
    }

    [Fact]
    public async Task Write_ArchiveOfNothing_IsAnArchive()
    {
        await WriteArchiveAsync(_folder["a.npz"], []);
        Assert.Empty((await NpzOpening.ReadAsync(await File.ReadAllBytesAsync(_folder["a.npz"]))).Tensors);
    }

    [Theory]
    [InlineData("../up")]
    [InlineData("/rooted")]
    [InlineData("a\\b")]
    [InlineData("a\0b")]
    public void Objection_NameThatIsNoPathInside_IsSaid(string name)
    {
        var tensor = new NumpyTensor(name, DType.F32, new Shape(2));
        Assert.Contains("name", NpzWriter.Objection(tensor), StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => NpzWriter.Create(_folder["a.npz"], [tensor]));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Objection_WhatNoArrayCanHold_IsSaid()
    {
        foreach (var dtype in DType.All)
        {
            var tensor = new NumpyTensor("a", dtype, new Shape(256));
            var expected = Types.Any(type => type.DType == dtype) ? null : dtype.Name;
            Assert.Equal(expected, NpzWriter.Objection(tensor));
            Assert.Equal(expected, NpyWriter.Objection(tensor));
            if (expected is not null)
            {
                Assert.Throws<ArgumentException>(() => NpzWriter.Create(_folder["a.npz"], [tensor]));
                await Assert.ThrowsAsync<ArgumentException>(() => NpyWriter.CreateAsync(_folder["a.npy"], tensor));
            }
        }

        // Half of a surrogate pair has no UTF-8.
        Assert.Contains("name", NpzWriter.Objection(new NumpyTensor("\ud800", DType.F32, Shape.Scalar)), StringComparison.Ordinal);
        var deep = new NumpyTensor("a", DType.F32, new Shape(Enumerable.Repeat(1L, 65).ToArray()));
        Assert.Equal("65 dimensions", NpzWriter.Objection(deep));
        Assert.Contains("name", NpzWriter.Objection(new NumpyTensor(new string('a', 65_532), DType.F32, Shape.Scalar)), StringComparison.Ordinal);
        Assert.Null(NpzWriter.Objection(new NumpyTensor(new string('a', 65_531), DType.F32, Shape.Scalar)));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Write_SizesBeyond64Bits_Throws()
    {
        var tensor = new NumpyTensor("a", DType.F64, new Shape(long.MaxValue));
        Assert.Throws<ArgumentException>(() => NpzWriter.Create(_folder["a.npz"], [tensor]));
        await Assert.ThrowsAsync<ArgumentException>(() => NpyWriter.CreateAsync(_folder["a.npy"], tensor));
        var half = new NumpyTensor("a", DType.U8, new Shape(long.MaxValue - 1000));
        Assert.Throws<ArgumentException>(() => NpzWriter.Create(_folder["a.npz"], [half, half with { Name = "b" }]));
        Assert.Throws<ArgumentException>(() => NpzWriter.Create(_folder["a.npz"], [half with { Shape = new(1) }, half with { Shape = new(1) }]));
    }

    [Fact]
    public async Task Commit_BytesMissing_ThrowsAndLeavesNothing()
    {
        await using (var writer = NpzWriter.Create(_folder["a.npz"], [new NumpyTensor("a", DType.F32, new Shape(2))]))
        {
            await writer.WriteAsync("a", 0, new byte[4]);
            await Assert.ThrowsAsync<InvalidOperationException>(async () => await writer.CommitAsync());
        }

        await using (var writer = await NpyWriter.CreateAsync(_folder["a.npy"], new NumpyTensor("a", DType.F32, new Shape(2))))
        {
            writer.Write("a", 4, new byte[4]);
            await Assert.ThrowsAsync<InvalidOperationException>(async () => await writer.CommitAsync());
        }

        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Write_FolderOfBoth_AppearsWithTheFolder()
    {
        using (var folder = AtomicFolder.Create(_folder["out"]))
        {
            await using var archive = NpzWriter.Create(folder, "b.npz", [new NumpyTensor("b", DType.U8, new Shape(2))]);
            await archive.WriteAsync("b", 0, new byte[] { 3, 4 });
            await archive.CommitAsync();
            await using var array = await NpyWriter.CreateAsync(folder, "a.npy", new NumpyTensor("any", DType.U8, new Shape(2)));
            await array.WriteAsync("any", 0, new byte[] { 1, 2 });
            await array.CommitAsync();
            Assert.Equal(System.IO.Path.Combine(folder.Path, "a.npy"), array.Path);
            Assert.False(Directory.Exists(_folder["out"]));
            folder.Commit();
        }

        Assert.Equal([1, 2], NpyFile.Parse(await File.ReadAllBytesAsync(_folder["out/a.npy"])).Data.ToArray());
        Assert.Equal("b", Assert.Single((await NpzOpening.ReadAsync(await File.ReadAllBytesAsync(_folder["out/b.npz"]))).Tensors).Name);
    }

    [Fact]
    public void Read_AnyTypeShapeOrderAndByteOrder_GivesEveryElement()
    {
        var arrays =
            from type in Gen.Choose(0, 13)
            from shape in Gen.ArrayOf(Gen.Choose(0, 4)).Where(shape => shape.Length <= 4)
            from isFortran in Gen.Elements(true, false)
            from isBigEndian in Gen.Elements(true, false)
            from version in Gen.Choose(1, 3)
            from seed in Gen.Choose(0, 1 << 20)
            select (Types[type].DType, Shape: shape.Select(size => (long)size).ToArray(), isFortran, isBigEndian, version, seed);
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(500), Prop.ForAll(Arb.From(arrays), array =>
        {
            var (dtype, dimensions, isFortran, isBigEndian, version, seed) = array;
            var shape = new Shape(dimensions);
            var values = Noise(shape.ElementCount * dtype.BlockSize, seed);
            var stored = Store(values, dimensions, dtype, isFortran, isBigEndian);
            var descr = (isBigEndian ? ">" : "<") + NpyType.Spell(dtype)[1..];
            var tuple = $"({string.Concat(dimensions.Select(size => $"{size}, "))})";
            var header = System.Text.Encoding.ASCII.GetBytes(NpyOpening.Header($"'{descr}'", tuple, isFortran ? "True" : "False"));
            var tensor = NpyOpening.AcceptedAsync(NpyOpening.Array(header, stored, version)).GetAwaiter().GetResult();
            return tensor.DType == dtype && tensor.Shape == shape && ElementWalk.ReadAsync(tensor).GetAwaiter().GetResult().AsSpan().SequenceEqual(values);
        }));
    }

    // Puts every element where its order says, number by number the other way round where that is asked for.
    private static byte[] Store(byte[] values, long[] shape, DType dtype, bool isFortran, bool isBigEndian)
    {
        var size = dtype.BlockSize;
        var number = dtype.Kind == DTypeKind.Complex ? size / 2 : size;
        var stored = new byte[values.Length];
        for (var i = 0; i < values.Length / size; i++)
        {
            long at = i;
            if (isFortran)
            {
                (at, var rest, long stride) = (0, (long)i, values.Length / size);
                for (var dimension = shape.Length - 1; dimension >= 0; dimension--)
                {
                    stride /= shape[dimension];
                    at += rest % shape[dimension] * stride;
                    rest /= shape[dimension];
                }
            }

            var element = values.AsSpan(i * size, size).ToArray();
            if (isBigEndian)
            {
                element = [.. element.Chunk(number).SelectMany(bytes => bytes.Reverse())];
            }

            element.CopyTo(stored, at * size);
        }

        return stored;
    }

    private static async Task WriteAsync(string path, NumpyTensor tensor)
    {
        await using var writer = await NpyWriter.CreateAsync(path, tensor);
        var bytes = Noise(tensor.DType.ByteCount(tensor.Shape.ElementCount), 3);
        if (tensor.DType == DType.BOOL)
        {
            bytes = [.. bytes.Select(value => (byte)(value & 1))];
        }

        await writer.WriteAsync(tensor.Name, 0, bytes);
        await writer.CommitAsync();
        Assert.Equal(writer.Length, new FileInfo(path).Length);
    }

    private static async Task WriteArchiveAsync(string path, NumpyTensor[] tensors)
    {
        await using var writer = NpzWriter.Create(path, tensors);
        for (var i = tensors.Length - 1; i >= 0; i--)
        {
            var bytes = Noise(tensors[i].DType.ByteCount(tensors[i].Shape.ElementCount), i);
            var half = bytes.Length / 2;
            writer.Write(tensors[i].Name, half, bytes.AsSpan(half));
            await writer.WriteAsync(tensors[i].Name, 0, bytes.AsMemory(0, half));
        }

        await writer.CommitAsync();
        Assert.Equal(writer.Length, new FileInfo(path).Length);
    }

    private static byte[] Number(DType dtype, int value) => dtype switch
    {
        DType.BOOL => [value == 0 ? (byte)0 : (byte)1],
        DType.I8 or DType.U8 => [(byte)value],
        DType.I16 or DType.U16 => BitConverter.GetBytes((short)value),
        DType.I32 or DType.U32 => BitConverter.GetBytes(value),
        DType.I64 or DType.U64 => BitConverter.GetBytes((long)value),
        DType.F16 => BitConverter.GetBytes((Half)value),
        DType.F32 => BitConverter.GetBytes((float)value),
        DType.F64 => BitConverter.GetBytes((double)value),
        DType.C64 => [.. BitConverter.GetBytes((float)value), .. new byte[4]],
        _ => [.. BitConverter.GetBytes((double)value), .. new byte[8]],
    };
}
