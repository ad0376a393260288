using System.Numerics;
using IlgpuLoader.Formats.Pickle;

namespace IlgpuLoader.Formats.Torch;

/// <summary>What is accepted from PyTorch files. Immutable.</summary>
public sealed record TorchLimits
{
    /// <summary>
    /// The default largest pickle in bytes: what safetensors' reference accepts as a header, which describes the same tensors;
    /// the pickle of a model of 10,000 tensors has about 2 MB.
    /// </summary>
    public const long DefaultMaximumPickleBytes = 100_000_000;

    /// <summary>
    /// The default for containers inside one another: Python's own recursion limit, beyond which its pickler writes nothing
    /// without being told to.
    /// </summary>
    public const int DefaultMaximumPickleDepth = 1000;

    /// <summary>
    /// The default for values that one pickle remembers: Python's pickler remembers eight a tensor, and DeepSeek-V3 with one tensor
    /// an expert has 46,848 of them; this is the power of two above four times that, for the states of an optimiser.
    /// </summary>
    public const int DefaultMaximumPickleMemoEntries = 1 << 21;

    /// <summary>
    /// The default for one text or byte string in bytes, 32 MiB: the largest that checkpoints are known to hold inside the pickle
    /// are arrays of NumPy and whole tokenizer files, as in GGUF's headers.
    /// </summary>
    public const int DefaultMaximumPickleStringBytes = 32 << 20;

    /// <summary>
    /// The default for one integer in bytes: 512 bits, of which checkpoints need a half at most. The state of NumPy's PCG64 has 128
    /// and a SHA-256 as an integer 256; legacy files begin with one of 80.
    /// </summary>
    public const int DefaultMaximumPickleIntegerBytes = 64;

    /// <summary>
    /// The default for the values of one pickle: a tensor takes about nine, so this is 460,000 of them, with optimiser states several
    /// times what the largest models have; making and keeping so many takes about half a second.
    /// </summary>
    public const int DefaultMaximumPickleValues = 1 << 22;

    /// <summary>
    /// The default for the memory that the values of one pickle take beyond half of the rest of its file, 36 MiB: one byte of a
    /// pickle can make a value of 64. With what is made of the values it stays within the 64 MiB that a file which is not trusted
    /// may cost beyond its own size. A tensor takes about 600 bytes with a name of 50 characters, and its elements in the same
    /// file are counted against it: with names of 100 characters, 131,072 tensors of 2 KiB each fit, and of those of a few bytes
    /// some 30,000.
    /// </summary>
    public const long DefaultMaximumPickleExpansionBytes = 36L << 20;

    /// <summary>
    /// The default for the memory that names, tensors and metadata take beyond half of the file, 14 MiB: with what the pickle's
    /// values take, it stays within the 64 MiB that a file which is not trusted may cost beyond its own size. A tensor takes
    /// about 500 bytes; values that a pickle has once and names often are counted as often as they are named.
    /// </summary>
    public const long DefaultMaximumEntryBytes = 14L << 20;

    /// <summary>
    /// The default for the elements of one tensor side by side where they are more bytes than its storage has, 64 GiB: strides of
    /// zero repeat what is stored, and a file of some hundred bytes must not occupy a hash or a conversion for hours. Ten times
    /// the largest tensors of published models, and a minute of work.
    /// </summary>
    public const long DefaultMaximumExpandedBytes = 1L << 36;

    // .NET's strings hold no more than 2^30 characters.
    private const int LargestString = 1 << 30;

    // BigInteger holds 2^31 bits.
    private const int LargestInteger = 1 << 27;

    /// <summary>The defaults.</summary>
    public static TorchLimits Default { get; } = new();

    /// <summary>
    /// Whether classes and functions that are not on the list become inert records, so that whole modules and training
    /// checkpoints give their tensors. Nothing of them is executed in any case, and what could only be an attack
    /// (<c>os</c>, <c>subprocess</c>, <c>builtins.eval</c>) stays refused. Default false.
    /// </summary>
    public bool AllowUnknownGlobals { get; init; }

    /// <summary>The largest pickle in bytes; it is held in memory while it is read.</summary>
    public long MaximumPickleBytes
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 2);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, Array.MaxLength);
            field = value;
        }
    } = DefaultMaximumPickleBytes;
    /// <summary>
    /// The most containers inside one another. Default <see cref="DefaultMaximumPickleDepth"/>; at most 10,000, since some of
    /// what reads the values takes stack for every level.
    /// </summary>
    public int MaximumPickleDepth
    {
        get;
        init => field = Checked(value, 1, 10_000);
    } = DefaultMaximumPickleDepth;

    /// <summary>The most values that one pickle may remember. Default <see cref="DefaultMaximumPickleMemoEntries"/>.</summary>
    public int MaximumPickleMemoEntries
    {
        get;
        init => field = Checked(value, 0, Array.MaxLength);
    } = DefaultMaximumPickleMemoEntries;

    /// <summary>The longest text or byte string of a pickle in bytes. Default <see cref="DefaultMaximumPickleStringBytes"/>.</summary>
    public int MaximumPickleStringBytes
    {
        get;
        init => field = Checked(value, 0, LargestString);
    } = DefaultMaximumPickleStringBytes;

    /// <summary>The largest integer of a pickle in bytes. Default <see cref="DefaultMaximumPickleIntegerBytes"/>.</summary>
    public int MaximumPickleIntegerBytes
    {
        get;
        init => field = Checked(value, 8, LargestInteger);
    } = DefaultMaximumPickleIntegerBytes;

    /// <summary>The most values of one pickle, and the most on its stack. Default <see cref="DefaultMaximumPickleValues"/>.</summary>
    public int MaximumPickleValues
    {
        get;
        init => field = Checked(value, 1, Array.MaxLength);
    } = DefaultMaximumPickleValues;

    /// <summary>
    /// The most memory in bytes that the values of one pickle may take beyond the bytes of its file outside the pickle. Default
    /// <see cref="DefaultMaximumPickleExpansionBytes"/>.
    /// </summary>
    public long MaximumPickleExpansionBytes
    {
        get;
        init => field = Checked(value, 0, long.MaxValue / 2);
    } = DefaultMaximumPickleExpansionBytes;

    /// <summary>
    /// The most memory in bytes that names, tensors and metadata may take beyond half of the file. Default
    /// <see cref="DefaultMaximumEntryBytes"/>.
    /// </summary>
    public long MaximumEntryBytes
    {
        get;
        init => field = Checked(value, 0, long.MaxValue / 2);
    } = DefaultMaximumEntryBytes;

    /// <summary>
    /// The most bytes that the elements of one tensor take side by side where that is more than its storage has. Default
    /// <see cref="DefaultMaximumExpandedBytes"/>.
    /// </summary>
    public long MaximumExpandedBytes
    {
        get;
        init => field = Checked(value, 0, long.MaxValue);
    } = DefaultMaximumExpandedBytes;

    /// <summary>What the stack machine accepts under these limits.</summary>
    /// <param name="globals">Which globals are admitted.</param>
    /// <param name="file">The file, for messages.</param>
    /// <param name="format">The container format, for messages.</param>
    /// <param name="baseOffset">Where the pickle begins, from the start of the file.</param>
    /// <param name="otherBytes">
    /// How long the file is without what is held of it in memory: values may take so much more than the limit, since a file that
    /// is not trusted may cost its own size in any case.
    /// </param>
    /// <param name="recorder">Notes all that a pickle would do instead of stopping at what is refused.</param>
    internal PickleSettings ForPickle(
        Func<string, string, PickleGlobalVerdict> globals,
        string? file,
        string? format,
        long baseOffset,
        long otherBytes,
        PickleRecorder? recorder = null) =>
        new()
        {
            Globals = globals,
            Options = nameof(TorchLimits),
            MaximumPickleDepth = MaximumPickleDepth,
            MaximumPickleMemoEntries = MaximumPickleMemoEntries,
            MaximumPickleStringBytes = MaximumPickleStringBytes,
            MaximumPickleIntegerBytes = MaximumPickleIntegerBytes,
            MaximumPickleValues = MaximumPickleValues,
            MaximumPickleExpansionBytes = MaximumPickleExpansionBytes,
            OtherBytes = otherBytes,
            File = file,
            Format = format,
            BaseOffset = baseOffset,
            Recorder = recorder,
        };

    private static T Checked<T>(T value, T minimum, T maximum)
        where T : INumber<T>
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(value, minimum);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(value, maximum);
        return value;
    }
}
