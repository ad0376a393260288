using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Says which tensor a failed read concerns; a source knows its file and the offset only.</summary>
internal static class ReadFailure
{
    /// <summary>The failure with the tensor in its message, or the same exception where it names one or is no failed read.</summary>
    /// <param name="exception">What reading threw; the inner exception of the result.</param>
    /// <param name="tensor">The tensor that was read.</param>
    /// <param name="offset">Where the read began, in bytes from the start of the file.</param>
    public static Exception Explain(Exception exception, TensorInfo tensor, long offset) => exception switch
    {
        InvalidCheckpointException { Tensor: null } invalid => new InvalidCheckpointException(
            invalid.Code, tensor.File.Path, invalid.Problem, tensor.File.Format, invalid.Offset ?? offset, tensor.Name, invalid),
        RemoteException remote => new RemoteException(
            remote.Failure, remote.Address, $"tensor {Quoted.Name(tensor.Name)} could not be read at byte {offset}: {remote.Problem}", remote),
        IOException => new IOException(
            $"{tensor.File.Path}: tensor {Quoted.Name(tensor.Name)} could not be read at byte {offset}: {exception.Message}", exception),
        _ => exception,
    };
}
