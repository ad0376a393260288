using System.CommandLine;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>What every command that takes addresses beside paths takes, and what it has fetched. Connections are made by the first address, and ended with the command.</summary>
/// <param name="access">How the Hub and ModelScope are read where the command has no <c>--stream</c>.</param>
internal sealed class RemoteArguments(RemoteAccess access) : IRemoteCheckpoints, IDisposable
{
    private readonly Option<int?> _connections = new("--connections")
    {
        Description = $"How many ranges of remote files are fetched at the same time; by default {RemoteOptions.DefaultConnections}.",
        HelpName = "N",
    };

    private readonly Option<int?> _retries = new("--retries")
    {
        Description = $"How often a request is tried again on 408, 429, 5xx and cut connections; by default {RemoteOptions.DefaultRetries}.",
        HelpName = "N",
    };

    private readonly Option<bool> _offline = new("--offline")
    {
        Description = "Ask no server: remote checkpoints come from the cache, or not at all (HF_HUB_OFFLINE=1).",
    };

    private readonly Option<bool> _stream = new("--stream")
    {
        Description = "Read hf:// and ms:// from the network straight into place, without a copy in the cache. What http(s):// and s3:// name is always read so.",
    };

    private RemoteOptions? _options;
    private RemoteCheckpoints? _checkpoints;

    /// <summary>What was fetched; null where no address was given.</summary>
    public FetchedBytes? Fetched => _checkpoints?.Traffic is { Requests: > 0 } traffic ? new FetchedBytes(traffic.Bytes, traffic.Requests) : null;

    /// <summary>Adds the options.</summary>
    public void AddTo(Command command)
    {
        command.Add(_connections);
        command.Add(_retries);
        command.Add(_offline);
    }

    /// <summary>Adds the choice between the cache and the network.</summary>
    public void AddStreamTo(Command command) => command.Add(_stream);

    /// <summary>Takes what was typed.</summary>
    /// <returns>What finds addresses.</returns>
    /// <exception cref="UsageException">A value is out of range.</exception>
    public IRemoteCheckpoints Take(ParseResult parsed)
    {
        var options = RemoteOptions.Default;
        if (parsed.GetValue(_connections) is { } connections)
        {
            options = connections is >= 1 and <= RemoteOptions.MaximumConnections
                ? options with { Connections = connections }
                : throw new UsageException($"{_connections.Name} takes a number from 1 to {RemoteOptions.MaximumConnections}, not {connections}.");
        }

        if (parsed.GetValue(_retries) is { } retries)
        {
            options = retries is >= 0 and <= RemoteOptions.MostRetries
                ? options with { MaximumRetries = retries }
                : throw new UsageException($"{_retries.Name} takes a number from 0 to {RemoteOptions.MostRetries}, not {retries}.");
        }

        _options = options with
        {
            Access = parsed.GetResult(_stream) is not null && parsed.GetValue(_stream) ? RemoteAccess.Stream : access,
            Offline = options.Offline || parsed.GetValue(_offline),
        };
        return this;
    }

    /// <inheritdoc/>
    public async ValueTask<CheckpointLocation> LocateAsync(string address, CancellationToken cancellationToken = default)
    {
        _checkpoints ??= RemoteCheckpoints.Create(_options ?? RemoteOptions.Default);
        try
        {
            return await _checkpoints.LocateAsync(address, cancellationToken).ConfigureAwait(false);
        }
        catch (ArgumentException exception)
        {
            throw UsageException.From(exception);
        }
    }

    /// <summary>Says what was fetched.</summary>
    public void WriteFetched(CommandConsole console)
    {
        if (Fetched is { } fetched && !console.Quiet)
        {
            console.Error.WriteLine($"fetched {Sizes.Format(fetched.Bytes)} ({Sizes.Count(fetched.Bytes)} bytes) in {Sizes.Count(fetched.Requests, "request")}");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _checkpoints?.Dispose();
        _checkpoints = null;
    }
}
