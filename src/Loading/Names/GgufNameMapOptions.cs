namespace IlgpuLoader.Loading;

/// <summary>Choices for a built-in map of names. Read when the map is made.</summary>
public sealed class GgufNameMapOptions
{
    /// <summary>The default of <see cref="MaximumExperts"/>: eight times as many as llama.cpp reads.</summary>
    internal const int DefaultMaximumExperts = 4096;

    /// <summary>
    /// What the names of the checkpoint begin with, but for the output's: null for what the published checkpoints of the
    /// architecture have (<c>model.</c>, and nothing for GPT-2). Empty for a model that was saved without its head, and
    /// <c>transformer.</c> for a GPT-2 that was saved with it.
    /// </summary>
    public string? ModelPrefix { get; set; }

    /// <summary>
    /// The most experts that a GGUF's metadata may speak of, since each gets names before any tensor is looked at.
    /// </summary>
    public int MaximumExperts { get; set; } = DefaultMaximumExperts;
}
