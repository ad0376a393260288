namespace IlgpuLoader.Formats.Numpy;

/// <summary>Where an array lies, for messages.</summary>
/// <param name="Path">The file.</param>
/// <param name="Format">The container format.</param>
/// <param name="Tensor">The array's name.</param>
/// <param name="Start">
/// Where the array begins, in bytes from the start of the file; null for a compressed one, whose bytes have no place there.
/// </param>
internal sealed record NpyPlace(string Path, string Format, string Tensor, long? Start)
{
    /// <summary>An array that breaks a rule.</summary>
    /// <param name="code">Which rule.</param>
    /// <param name="problem">The sentence.</param>
    /// <param name="offset">Where in the array, in bytes from its start.</param>
    public InvalidCheckpointException Invalid(CheckpointErrorCode code, string problem, long offset) =>
        new(code, Path, problem, Format, Start + offset, Tensor);

    /// <summary>An array that is valid and not read.</summary>
    /// <param name="feature">What it holds, in a few words.</param>
    /// <param name="problem">The sentence.</param>
    public UnsupportedCheckpointException Unsupported(string feature, string problem) =>
        new(feature, Path, problem, Format, Tensor);
}
