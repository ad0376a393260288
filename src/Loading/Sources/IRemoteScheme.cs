using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Finds checkpoints by the addresses of some schemes. Safe for any thread.</summary>
internal interface IRemoteScheme
{
    /// <summary>The schemes in lower case, such as <c>hf</c>.</summary>
    IReadOnlyList<string> Schemes { get; }

    /// <summary>What its addresses look like, for messages.</summary>
    string Form { get; }

    /// <summary>Finds what an address means.</summary>
    /// <param name="address">The address, which has one of the schemes.</param>
    /// <param name="cancellationToken">Ends the asking.</param>
    /// <inheritdoc cref="IRemoteCheckpoints.LocateAsync" path="/exception"/>
    ValueTask<CheckpointLocation> LocateAsync(string address, CancellationToken cancellationToken);
}
