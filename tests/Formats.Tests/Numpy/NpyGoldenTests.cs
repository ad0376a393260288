using System.Globalization;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>The arrays that NumPy wrote, each against what its own program said of it.</summary>
public sealed class NpyGoldenTests
{
    private static readonly string[] Numbers =
        ["c_f4", "f_f8", "be_f4", "be_i8", "f2", "bool", "u1", "i2", "scalar", "empty", "c8", "u8"];

    public static TheoryData<string> NumberArrays => [.. Numbers];

    [Theory]
    [MemberData(nameof(NumberArrays))]
    public async Task Open_GoldenArray_HasTheValuesOfTheManifest(string name)
    {
        var expected = NumpyManifest.Arrays[name];
        using var folder = new TemporaryFolder();
        var path = folder[name + ".npy"];
        await File.WriteAllBytesAsync(path, GoldenArchive.Read(NumpyManifest.Set, $"npy/{name}.npy"));
        await using var checkpoint = await Checkpoint.OpenAsync(path);
        Assert.Equal("npy", checkpoint.Format);
        Assert.Equal(new FileInfo(path).Length, checkpoint.Files[0].Length);
        await CheckAsync(name, Assert.Single(checkpoint.Tensors), expected);
    }

    [Fact]
    public void Manifest_Arrays_AreAllTested() =>
        Assert.Equal(NumpyManifest.Arrays.Keys.Order(), Numbers.Concat(["str_U", "bytes_S", "struct"]).Order());

    [Fact]
    public async Task Open_FortranOrder_IsStridesOverTheStoredBytes()
    {
        var tensor = await NpyOpening.AcceptedAsync(GoldenArchive.Read(NumpyManifest.Set, "npy/f_f8.npy"));
        Assert.Equal([1L, 3L], tensor.Strides.AsEnumerable());
        Assert.False(tensor.IsContiguous);
        var file = NpyFile.Golden(NumpyManifest.Set, "npy/f_f8.npy");
        var stored = new byte[tensor.ByteLength];
        await tensor.File.Source.ReadExactlyAsync(tensor.Offset, stored);
        Assert.Equal(file.Data, stored);
    }

    [Fact]
    public async Task Open_HeaderOfVersion2_IsReadAsVersion1()
    {
        var tensor = await NpyOpening.AcceptedAsync(GoldenArchive.Read(NumpyManifest.Set, "npy/v2header.npy"));
        var file = NpyFile.Golden(NumpyManifest.Set, "npy/v2header.npy");
        Assert.Equal((DType.F32, new Shape(3, 4)), (tensor.DType, tensor.Shape));
        Assert.Equal(file.Data, await ElementWalk.ReadAsync(tensor));
    }

    [Theory]
    [InlineData("object", "Python objects", "pickle")]
    [InlineData("str_U", "strings", "<U3")]
    [InlineData("bytes_S", "strings", "|S2")]
    [InlineData("struct", "structured", "fields")]
    [InlineData("v3header", "structured", "fields")]
    public async Task Open_GoldenArrayOfOtherThings_IsRefusedInItsOwnWords(string name, string feature, string word)
    {
        var exception = await NpyOpening.RefusedAsync<UnsupportedCheckpointException>(GoldenArchive.Read(NumpyManifest.Set, $"npy/{name}.npy"));
        Assert.Contains(feature, exception.Feature, StringComparison.Ordinal);
        Assert.Contains(word, exception.Message, StringComparison.Ordinal);
        Assert.Equal("weight", exception.Tensor);
    }

    [Fact]
    public async Task Open_FolderOfArrays_HasATensorAFile()
    {
        using var folder = new TemporaryFolder();
        foreach (var name in Numbers)
        {
            await File.WriteAllBytesAsync(folder[name + ".npy"], GoldenArchive.Read(NumpyManifest.Set, $"npy/{name}.npy"));
        }

        await using var checkpoint = await Checkpoint.OpenAsync(folder.Path);
        Assert.Equal(Numbers.Order(), checkpoint.Tensors.Select(tensor => tensor.Name).Order());
        foreach (var tensor in checkpoint.Tensors)
        {
            await CheckAsync(tensor.Name, tensor, NumpyManifest.Arrays[tensor.Name]);
        }
    }

    internal static async Task CheckAsync(string name, TensorInfo tensor, NumpyArray expected)
    {
        Assert.Equal(name, tensor.Name);
        Assert.Equal(expected.Shape, tensor.Shape);
        Assert.Equal(TypeOf(expected.DType), tensor.DType);
        Assert.Equal(expected.Values!.SelectMany(value => Bytes(tensor.DType, value)).ToArray(), await ElementWalk.ReadAsync(tensor));
    }

    private static DType TypeOf(string descr) => descr[1..] switch
    {
        "b1" => DType.BOOL,
        "u1" => DType.U8,
        "i2" => DType.I16,
        "i8" => DType.I64,
        "u8" => DType.U64,
        "f2" => DType.F16,
        "f4" => DType.F32,
        "f8" => DType.F64,
        "c8" => DType.C64,
        _ => throw new ArgumentException($"The manifest has a type that is not known here: {descr}.", nameof(descr)),
    };

    // What Python's str() says of a value, as little-endian bytes.
    private static byte[] Bytes(DType dtype, string value)
    {
        var culture = CultureInfo.InvariantCulture;
        switch (dtype)
        {
            case DType.BOOL:
                return [value == "True" ? (byte)1 : (byte)0];
            case DType.U8:
                return [byte.Parse(value, culture)];
            case DType.I16:
                return BitConverter.GetBytes(short.Parse(value, culture));
            case DType.I64:
                return BitConverter.GetBytes(long.Parse(value, culture));
            case DType.U64:
                return BitConverter.GetBytes(ulong.Parse(value, culture));
            case DType.F16:
                return BitConverter.GetBytes(Half.Parse(value, culture));
            case DType.F32:
                return BitConverter.GetBytes(float.Parse(value, culture));
            case DType.F64:
                return BitConverter.GetBytes(double.Parse(value, culture));
            default:
                // (-1.5531988-1.5531988j): the second sign is the last that follows no exponent.
                var text = value.Trim('(', ')', 'j');
                var sign = text.Length - 1;
                while (text[sign] is not ('+' or '-') || text[sign - 1] == 'e')
                {
                    sign--;
                }

                return [.. Bytes(DType.F32, text[..sign]), .. Bytes(DType.F32, text[sign..])];
        }
    }
}
