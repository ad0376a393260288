namespace IlgpuLoader.Formats;

/// <summary>Finds checkpoints that are no local files, by their addresses (<c>scheme://…</c>). Safe for any thread.</summary>
public interface IRemoteCheckpoints
{
    /// <summary>Finds what an address means. Nothing is opened; a listing may be asked for.</summary>
    /// <param name="address">The address.</param>
    /// <param name="cancellationToken">Ends the asking.</param>
    /// <exception cref="ArgumentException">The address is of no form that is known; the message says which are.</exception>
    /// <exception cref="FileNotFoundException">There is nothing.</exception>
    /// <exception cref="IOException">Its server cannot be reached, or refuses.</exception>
    ValueTask<CheckpointLocation> LocateAsync(string address, CancellationToken cancellationToken = default);
}
