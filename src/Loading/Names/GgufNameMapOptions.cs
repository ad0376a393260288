namespace IlgpuLoader.Loading;

/// <summary>Choices for a map of names. Read when the map is made.</summary>
public sealed class GgufNameMapOptions
{
    /// <summary>The default of <see cref="MaximumExperts"/>: eight times as many as llama.cpp reads.</summary>
    internal const int DefaultMaximumExperts = 4096;

    /// <summary>
    /// The default of <see cref="MaximumParts"/>: more than twice the 44,544 of DeepSeek-V3 (58 blocks of 256 experts, each
    /// three matrices) and enough for Kimi K2's 69,120 (60 of 384). A weight keeps about 400 bytes, so all of them stay below the 64 MiB
    /// that a bad file may cost.
    /// </summary>
    internal const int DefaultMaximumParts = 131_072;

    /// <summary>
    /// The default of <see cref="MaximumFileBytes"/>: maps have placeholders and take a few kilobytes, and with a line of two
    /// hundred bytes for each tensor this is enough for three hundred thousand.
    /// </summary>
    internal const int DefaultMaximumFileBytes = 64 << 20;

    /// <summary>
    /// What the names of the checkpoint begin with, but for the output's: null for what the published checkpoints of the
    /// architecture have (<c>model.</c>, and nothing for GPT-2). Empty for a model that was saved without its head, and
    /// <c>transformer.</c> for a GPT-2 that was saved with it. For built-in maps.
    /// </summary>
    public string? ModelPrefix { get; set; }

    /// <summary>
    /// The most experts that a GGUF's metadata may speak of, since each gets names before any tensor is looked at. For
    /// built-in maps.
    /// </summary>
    public int MaximumExperts { get; set; } = DefaultMaximumExperts;

    /// <summary>
    /// The most tensors of the checkpoint, all together, that share a GGUF tensor with others (experts, rows, several names), since
    /// a few bytes of a file may be thousands of them; and the most experts that the entries of a map's file may name. A GGUF
    /// tensor that is one of the checkpoint does not count: a file pays for it with an entry of its own.
    /// </summary>
    public int MaximumParts { get; set; } = DefaultMaximumParts;

    /// <summary>The longest file of a map, which is read as a whole. For <see cref="GgufNameMap.ReadAsync"/>.</summary>
    public int MaximumFileBytes { get; set; } = DefaultMaximumFileBytes;
}
