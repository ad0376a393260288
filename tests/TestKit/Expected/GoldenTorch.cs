using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.TestKit;

/// <summary>The PyTorch files of the golden set, with every dense tensor that has expected values, as NumPy wrote those.</summary>
public static class GoldenTorch
{
    private static readonly ImmutableDictionary<string, DType> Types = new Dictionary<string, DType>
    {
        ["float64"] = DType.F64,
        ["float32"] = DType.F32,
        ["float16"] = DType.F16,
        ["bfloat16"] = DType.BF16,
        ["int64"] = DType.I64,
        ["int32"] = DType.I32,
        ["int16"] = DType.I16,
        ["int8"] = DType.I8,
        ["uint8"] = DType.U8,
        ["bool"] = DType.BOOL,
        ["complex64"] = DType.C64,
        ["complex128"] = DType.C128,
        ["quint8"] = DType.U8,
        ["qint8"] = DType.I8,
    }.ToImmutableDictionary();

    /// <summary>The names of the files.</summary>
    public static IEnumerable<string> FileNames => TorchManifest.FileNames.Where(name => Path.GetExtension(name) is ".pt" or ".bin");

    /// <summary>What a type of PyTorch, such as <c>bfloat16</c>, must come out as.</summary>
    public static DType DTypeOf(string name) => Types[name];

    /// <summary>Whether a file names foreign classes, so that only the option reads it.</summary>
    public static bool NamesForeignClasses(string file) =>
        file.StartsWith("checkpoint.", StringComparison.Ordinal) || file.StartsWith("wholemodule.", StringComparison.Ordinal);

    /// <summary>The dense tensors of a file, by the names that this library gives them.</summary>
    public static IReadOnlyDictionary<string, GoldenTensor> Tensors(string file) =>
        TorchManifest.Tensors(file).Where(tensor => tensor.Value.Layout is null).ToImmutableDictionary(
            tensor => tensor.Key.Replace('/', '.'),
            tensor => new GoldenTensor(
                DTypeOf(tensor.Value.DType), new Shape([.. tensor.Value.Shape!]), NpyFile.Golden(TorchManifest.Set, tensor.Value.Expected!).RowMajor()));

    /// <summary>Unpacks one file into a folder.</summary>
    /// <returns>Its path.</returns>
    public static string Write(TemporaryFolder folder, string file) => folder.Write(file, GoldenArchive.Read(TorchManifest.Set, file));
}
