using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Finds checkpoints by their addresses: give it to <see cref="CheckpointOptions.Remote"/>, and an address is taken wherever a path is. Safe for any thread. It owns the connections: dispose it after all
/// checkpoints that were opened through it.
/// </summary>
public sealed class RemoteCheckpoints : IRemoteCheckpoints, IDisposable
{
    private readonly ImmutableArray<IRemoteScheme> _schemes;
    private readonly Action _dispose;

    /// <summary>Makes it of schemes.</summary>
    /// <param name="traffic">Where what they fetch is counted.</param>
    /// <param name="schemes">The schemes.</param>
    /// <param name="dispose">Ends their connections.</param>
    internal RemoteCheckpoints(RemoteTraffic traffic, IEnumerable<IRemoteScheme> schemes, Action dispose)
    {
        Traffic = traffic;
        _schemes = [.. schemes];
        _dispose = dispose;
    }

    /// <summary>Makes it of all schemes that are known.</summary>
    /// <param name="options">How remote checkpoints are reached; null for the defaults.</param>
    /// <param name="time">The clock of timeouts and of the waits before retries; null for the system's.</param>
    /// <exception cref="ArgumentException">The environment's endpoint of object storage is no address.</exception>
    public static RemoteCheckpoints Create(RemoteOptions? options = null, TimeProvider? time = null)
    {
        options ??= RemoteOptions.Default;
        // First: it may throw, and opens nothing.
        var objects = options.S3 ?? S3Settings.FromEnvironment();
        var services = RemoteServices.Create(options, time);
        var hub = new HubDownloads(services);
        var modelScope = new ModelScopeDownloads(services);
        var storage = new S3Client(options, objects, services.Traffic, services.Time);
        return new RemoteCheckpoints(
            services.Traffic,
            [
                new HubScheme(services, hub),
                new ModelScopeScheme(services, modelScope),
                new HttpScheme(services.Http, services.Reading),
                new S3Scheme(storage, services.Reading),
            ],
            () =>
            {
                storage.Dispose();
                hub.Dispose();
                modelScope.Dispose();
                services.Dispose();
            });
    }

    /// <summary>What was fetched through it.</summary>
    public RemoteTraffic Traffic { get; }

    /// <summary>Refuses what is no address that <see cref="LocateAsync"/> takes. Nobody is asked, so that whether there is something at the address is not told.</summary>
    /// <param name="address">The address.</param>
    /// <exception cref="ArgumentException">The address is of no form that is known, or has a name in it that leads elsewhere; the message says so without what is secret in it.</exception>
    public static void ThrowIfNoAddress(string address)
    {
        ArgumentException.ThrowIfNullOrEmpty(address);
        try
        {
            switch (AddressScheme.Of(address))
            {
                case "hf":
                    _ = HubAddress.Parse(address);
                    break;
                case "ms":
                    _ = ModelScopeAddress.Parse(address);
                    break;
                case S3Address.Scheme:
                    _ = S3Address.Parse(address);
                    break;
                case "https" or "http":
                    _ = HttpScheme.Parse(address);
                    break;
                default:
                    throw Unknown(address, [HubAddress.Form, ModelScopeAddress.Form, HttpScheme.AddressForm, S3Address.Form]);
            }
        }
        catch (RemoteException exception)
        {
            throw new ArgumentException(exception.Message, nameof(address), exception);
        }
    }

    /// <inheritdoc/>
    public ValueTask<CheckpointLocation> LocateAsync(string address, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(address);
        return AddressScheme.Of(address) is { } scheme && _schemes.FirstOrDefault(known => known.Schemes.Contains(scheme)) is { } found
            ? found.LocateAsync(address, cancellationToken)
            : throw Unknown(address, _schemes.Select(known => known.Form));
    }

    /// <inheritdoc/>
    public void Dispose() => _dispose();

    private static ArgumentException Unknown(string address, IEnumerable<string> forms) =>
        new($"{Quoted.Name(AddressScheme.WithoutSecrets(address))} has no scheme that is known; addresses are {string.Join(", ", forms)}.", nameof(address));
}
