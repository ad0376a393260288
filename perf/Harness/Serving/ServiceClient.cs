using System.Diagnostics;
using System.Net.Http.Headers;
using System.Text.Json;

namespace IlgpuLoader.Harness;

/// <summary>Loads, reloads and unloads models of a service, and waits for it.</summary>
internal sealed class ServiceClient : IDisposable
{
    // Seldom enough that the asking is not what is measured: what a load takes is what the service says.
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(10);

    // Four times the service's own interval.
    private static readonly TimeSpan LongestLook = TimeSpan.FromSeconds(1);

    private readonly HttpClient _client;

    /// <summary>Connects to a service.</summary>
    /// <param name="service">Where it listens.</param>
    /// <param name="token">What lets it be controlled.</param>
    public ServiceClient(Uri service, string token)
    {
        _client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = service };
        _client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
    }

    /// <summary>What a model is now.</summary>
    public async Task<ServedModel> StatusAsync(string model, CancellationToken cancellationToken)
    {
        using var document = JsonDocument.Parse(await _client.GetStringAsync($"/api/models/{model}", cancellationToken));
        return ServedModel.Read(document.RootElement.GetProperty("model"));
    }

    /// <summary>The bytes that all tensors take on all devices.</summary>
    public async Task<long> LiveBytesAsync(CancellationToken cancellationToken)
    {
        using var document = JsonDocument.Parse(await _client.GetStringAsync("/api/models", cancellationToken));
        return document.RootElement.GetProperty("devices").EnumerateArray().Sum(device => device.GetProperty("liveBytes").GetInt64());
    }

    /// <summary>Waits until no tensor takes memory of any device: the service looks at its devices only now and then.</summary>
    /// <exception cref="InvalidOperationException">Some is still taken after a second.</exception>
    public async Task UntilDevicesAreEmptyAsync(CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        while (await LiveBytesAsync(cancellationToken) is not 0 and var live)
        {
            if (Stopwatch.GetElapsedTime(started) > LongestLook)
            {
                throw new InvalidOperationException(FormattableString.Invariant($"Nothing is loaded, and the devices still have {live} bytes."));
            }

            await Task.Delay(Interval, cancellationToken);
        }
    }

    /// <summary>Asks for something, and does not wait for it.</summary>
    /// <exception cref="InvalidOperationException">It was refused.</exception>
    public async Task PostAsync(string model, string action, CancellationToken cancellationToken)
    {
        using var answer = await _client.PostAsync($"/api/models/{model}/{action}", null, cancellationToken);
        if (!answer.IsSuccessStatusCode)
        {
            throw new InvalidOperationException($"{action} of {model}: status {(int)answer.StatusCode}: {await answer.Content.ReadAsStringAsync(cancellationToken)}");
        }
    }

    /// <summary>Loads a model, or loads it again, and waits until that is done.</summary>
    /// <returns>The model, with what its load took.</returns>
    /// <exception cref="InvalidOperationException">It failed.</exception>
    public async Task<ServedModel> LoadAsync(string model, string action, CancellationToken cancellationToken)
    {
        var before = await StatusAsync(model, cancellationToken);
        await PostAsync(model, action, cancellationToken);
        return await UntilAsync(model, now => now.State == "Loaded" && now.Version > before.Version, cancellationToken);
    }

    /// <summary>Unloads a model, and waits until that is done.</summary>
    public async Task UnloadAsync(string model, CancellationToken cancellationToken)
    {
        await PostAsync(model, "unload", cancellationToken);
        await UntilAsync(model, now => now.State == "Unloaded", cancellationToken);
    }

    /// <summary>Waits until a model is as it should.</summary>
    /// <exception cref="InvalidOperationException">Its load has failed.</exception>
    public async Task<ServedModel> UntilAsync(string model, Func<ServedModel, bool> isReached, CancellationToken cancellationToken)
    {
        while (true)
        {
            var now = await StatusAsync(model, cancellationToken);
            if (now.Failure is { } failure)
            {
                throw new InvalidOperationException($"{model} is {now.State}: {failure}");
            }

            if (isReached(now))
            {
                return now;
            }

            await Task.Delay(Interval, cancellationToken);
        }
    }

    public void Dispose() => _client.Dispose();
}
