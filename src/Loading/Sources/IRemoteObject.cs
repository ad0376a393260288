namespace IlgpuLoader.Loading;

/// <summary>One remote file, pinned to the content that it had when it was opened. Safe for any thread.</summary>
internal interface IRemoteObject
{
    /// <summary>Its address, for messages, without what is secret in it.</summary>
    string Name { get; }

    /// <summary>Its size in bytes.</summary>
    long Length { get; }

    /// <summary>Whether ranges can be asked for; else it can only be read from its beginning to its end.</summary>
    bool TakesRanges { get; }

    /// <summary>Asks for a range.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="length">The number of bytes, within the file.</param>
    /// <param name="cancellationToken">Ends the asking.</param>
    /// <returns>
    /// A stream of exactly these bytes, which the caller disposes; it counts them in the traffic. Where the connection is cut or nothing arrives for the timeout, reading throws a <see cref="RemoteException"/> of
    /// <see cref="RemoteFailure.Network"/>, and the caller asks for what is missing.
    /// </returns>
    /// <exception cref="RemoteException">It is not to be had, after all retries.</exception>
    /// <exception cref="Formats.InvalidCheckpointException">The content is another than when it was opened (<see cref="Formats.CheckpointErrorCode.FileChanged"/>).</exception>
    Task<Stream> OpenRangeAsync(long offset, long length, CancellationToken cancellationToken);
}
