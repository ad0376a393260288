using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>How a file of a plan is read, and why so.</summary>
/// <param name="Mode">Any mode but <see cref="ReadMode.Auto"/>.</param>
/// <param name="Reason">Why, in a few words: what was asked for, or what the file is like.</param>
/// <param name="Alignment">What direct reads are aligned to; null for the other modes.</param>
public sealed record FileReadMode(ReadMode Mode, string Reason, DirectAlignment? Alignment = null)
{
    /// <summary>The mode's name, in lower case.</summary>
    public string ModeName => ReadModes.NameOf(Mode);

    /// <summary>Mode and reason.</summary>
    public override string ToString() => $"{ModeName}: {Reason}";
}
