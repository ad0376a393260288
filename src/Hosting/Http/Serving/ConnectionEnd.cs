using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Hosting;

namespace IlgpuLoader.Hosting;

/// <summary>
/// Ends the connections of a host that stops. Kestrel waits for clients, and takes none of its own times while it stops: half a request, a body that never comes or a client that does not read would hold the
/// host until its whole time to stop is over. Safe for any thread.
/// </summary>
internal sealed class ConnectionEnd : IDisposable
{
    // What is under way ends with the host's token at once; this is for its last bytes to be sent.
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(300);

    private readonly CancellationTokenSource _end = new();
    private readonly CancellationTokenRegistration _stopping;

    public ConnectionEnd(IHostApplicationLifetime lifetime) => _stopping = lifetime.ApplicationStopping.Register(() => _end.CancelAfter(Grace));

    /// <summary>Puts the end around what becomes of a connection.</summary>
    public ConnectionDelegate Around(ConnectionDelegate next) => async connection =>
    {
        using (_end.Token.Register(() => connection.Abort(new ConnectionAbortedException("The host stops."))))
        {
            await next(connection).ConfigureAwait(false);
        }
    };

    /// <inheritdoc/>
    public void Dispose()
    {
        _stopping.Dispose();
        _end.Dispose();
    }
}
