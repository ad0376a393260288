namespace IlgpuLoader.Formats.Numpy;

/// <summary>The fixed parts of NumPy's files (<c>numpy/lib/format.py</c>).</summary>
internal static class NumpyConstants
{
    /// <summary>The name of the format of one array.</summary>
    public const string Array = "npy";

    /// <summary>The name of the format of an archive of arrays.</summary>
    public const string Archive = "npz";

    /// <summary>The ending of one array's file, and of an array's entry in an archive.</summary>
    public const string ArrayExtension = ".npy";

    /// <summary>The ending of an archive's name.</summary>
    public const string ArchiveExtension = ".npz";

    /// <summary>
    /// The entry of an archive that tells the types that NumPy lacks, by array: <c>{"weight": "BF16"}</c>. Ours: NumPy reads
    /// such an archive too, and sees this entry as bytes.
    /// </summary>
    public const string DTypesEntry = "dtypes.json";

    /// <summary>The size of magic and version in bytes.</summary>
    public const int VersionEnd = 8;

    /// <summary>What magic, version, length and header together are a multiple of, so that the data can be mapped.</summary>
    public const int Alignment = 64;

    /// <summary>The most dimensions: NumPy 2's, and PyTorch's; NumPy 1 has 32.</summary>
    public const int MaximumRank = 64;

    /// <summary>The first bytes of an array.</summary>
    public static ReadOnlySpan<byte> Magic => [0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y'];
}
