using System.Numerics;

namespace IlgpuLoader.Formats.Torch;

/// <summary>What PyTorch files are made of (torch/serialization.py, caffe2/serialize/inline_container.h).</summary>
internal static class TorchConstants
{
    /// <summary>The format's name in messages and listings.</summary>
    public const string Format = "pytorch";

    /// <summary>What a pickle calls the host's memory.</summary>
    public const string HostLocation = "cpu";

    /// <summary>The record of the object in an archive.</summary>
    public const string PickleRecord = "data.pkl";

    /// <summary>The folder of the storages in an archive, each under its key.</summary>
    public const string StorageFolder = "data/";

    /// <summary>The record with the byte order of the storages; little-endian without it, as all writers before 2.1 were.</summary>
    public const string ByteOrderRecord = "byteorder";

    /// <summary>The oldest and the newest version of archives (kMinSupportedFileFormatVersion, kMaxSupportedFileFormatVersion).</summary>
    public const int OldestVersion = 1, NewestVersion = 10;

    /// <summary>The one protocol that streams before 1.6 have.</summary>
    public const long StreamProtocol = 1001;

    /// <summary>The most dimensions of a tensor, as in NumPy and PyTorch.</summary>
    public const int MaximumRank = 64;

    /// <summary>The records with the version of an archive; new writers use the second.</summary>
    public static IReadOnlyList<string> VersionRecords { get; } = ["version", ".data/version"];

    /// <summary>What only TorchScript archives have.</summary>
    public static IReadOnlyList<string> ScriptRecords { get; } = ["constants.pkl", "code/"];

    /// <summary>The folder of the storages that the code of TorchScript archives has for itself.</summary>
    public const string ConstantsFolder = "constants/";

    /// <summary>What the first pickle of a stream before 1.6 is.</summary>
    public static BigInteger StreamMagic { get; } = BigInteger.Parse("01950a86a20f9469cfc6c", System.Globalization.NumberStyles.HexNumber, System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>The same as protocols 0 and 1 write it.</summary>
    public static ReadOnlySpan<byte> StreamMagicText => "L119547037146038801333356L\n."u8;
}
