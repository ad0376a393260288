namespace IlgpuLoader.Formats;

/// <summary>A file breaks a rule of its format. The message says what is wrong, where, what was expected and what to do.</summary>
public sealed class InvalidCheckpointException : CheckpointException
{
    /// <summary>Makes the exception; the message is put together from the parts.</summary>
    /// <param name="code">Which rule is broken.</param>
    /// <param name="file">The file or folder.</param>
    /// <param name="problem">What is wrong: expected, actual, and what to do.</param>
    /// <param name="format">The container format.</param>
    /// <param name="offset">Where in the file, in bytes from its start.</param>
    /// <param name="tensor">The tensor concerned.</param>
    /// <param name="innerException">What was caught, if anything.</param>
    public InvalidCheckpointException(
        CheckpointErrorCode code,
        string? file,
        string problem,
        string? format = null,
        long? offset = null,
        string? tensor = null,
        Exception? innerException = null)
        : base(code, file, Compose(problem, offset, tensor), format, innerException)
    {
        Problem = problem;
        Offset = offset;
        Tensor = tensor;
    }

    /// <summary>What is wrong, without the file, the tensor and the offset that the message names too.</summary>
    public string Problem { get; }

    /// <summary>Where in the file, in bytes from its start, where that is known.</summary>
    public long? Offset { get; }

    /// <summary>The tensor concerned, where there is one.</summary>
    public string? Tensor { get; }

    private static string Compose(string problem, long? offset, string? tensor)
    {
        var where = tensor is null ? "" : $"tensor {Quoted.Name(tensor)}: ";
        return offset is null ? where + problem : $"{where}{problem} (at byte {offset})";
    }
}
