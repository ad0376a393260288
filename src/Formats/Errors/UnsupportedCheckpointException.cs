namespace IlgpuLoader.Formats;

/// <summary>A valid file uses something that the asked operation cannot do.</summary>
public sealed class UnsupportedCheckpointException : CheckpointException
{
    /// <summary>Makes the exception.</summary>
    /// <param name="feature">What is not supported, in a few words.</param>
    /// <param name="file">The file or folder.</param>
    /// <param name="problem">The whole sentence: what, where, and what to do.</param>
    /// <param name="format">The container format.</param>
    /// <param name="tensor">The tensor concerned.</param>
    public UnsupportedCheckpointException(
        string feature, string? file, string problem, string? format = null, string? tensor = null)
        : base(
            CheckpointErrorCode.Unsupported,
            file,
            tensor is null ? problem : $"tensor {Quoted.Name(tensor)}: {problem}",
            format)
    {
        Feature = feature;
        Tensor = tensor;
    }

    /// <summary>What is not supported, in a few words.</summary>
    public string Feature { get; }

    /// <summary>The tensor concerned, where there is one.</summary>
    public string? Tensor { get; }
}
