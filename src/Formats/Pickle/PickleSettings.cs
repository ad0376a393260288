namespace IlgpuLoader.Formats.Pickle;

/// <summary>What a <see cref="PickleReader"/> accepts, and what its messages name. Immutable.</summary>
internal sealed record PickleSettings
{
    /// <summary>Which globals are admitted, by module and name. Asked once for each name of a pickle.</summary>
    public required Func<string, string, PickleGlobalVerdict> Globals { get; init; }

    /// <summary>
    /// The type with the options that raise the limits, for messages: <c>TorchLimits</c>. They have the names that they have here.
    /// </summary>
    public required string Options { get; init; }

    /// <summary>The most containers inside one another.</summary>
    public required int MaximumPickleDepth { get; init; }

    /// <summary>The most values that one pickle may remember.</summary>
    public required int MaximumPickleMemoEntries { get; init; }

    /// <summary>The longest text or byte string in bytes.</summary>
    public required int MaximumPickleStringBytes { get; init; }

    /// <summary>The largest integer in bytes.</summary>
    public required int MaximumPickleIntegerBytes { get; init; }

    /// <summary>The most values that one pickle may make.</summary>
    public required int MaximumPickleValues { get; init; }

    /// <summary>The most memory in bytes that the values of one pickle may take beyond <see cref="OtherBytes"/>.</summary>
    public required long MaximumPickleExpansionBytes { get; init; }

    /// <summary>The bytes of the file that are not held in memory, whose size values may take in their place.</summary>
    public long OtherBytes { get; init; }

    /// <summary>What pickles before this one have taken of <see cref="MaximumPickleExpansionBytes"/>, where several share it.</summary>
    public long SpentBytes { get; init; }

    /// <summary>What pickles before this one have taken of <see cref="MaximumPickleValues"/>, where several share it.</summary>
    public int SpentValues { get; init; }

    /// <summary>The file, for messages.</summary>
    public string? File { get; init; }

    /// <summary>The container format, for messages.</summary>
    public string? Format { get; init; }

    /// <summary>Where the first byte of the pickle is, from the start of the file, for messages.</summary>
    public long BaseOffset { get; init; }

    /// <summary>
    /// Sees everything that a pickle names as kept beside it, in the order of the file, and gives what stands for it: the
    /// reference itself, or a global that it holds. Null where references stand for themselves.
    /// </summary>
    public Func<PickleStorageReference, object>? References { get; init; }

    /// <summary>
    /// Notes all that a pickle would do. With one, globals and opcodes that are refused do not end the reading: they become
    /// inert values, so that one reading lists everything.
    /// </summary>
    public PickleRecorder? Recorder { get; init; }
}
