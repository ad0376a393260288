using System.Collections.Concurrent;
using System.Net;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace IlgpuLoader.Hosting;

/// <summary>Begins loads, reloads and unloads that requests ask for. They go on when the request is over; their outcome is the model's status. Safe for any thread.</summary>
/// <param name="lifetime">Ends reloads that wait when the host stops.</param>
/// <param name="logger">Says who asked for what.</param>
internal sealed partial class ModelControl(IHostApplicationLifetime lifetime, ILogger<ModelControl> logger)
{
    // One that runs and one behind it, which sees all that was there when it was asked for: a third would find nothing new.
    private const int MostAtATime = 2;

    private readonly ConcurrentDictionary<(string Model, ModelAction Action), int> _running = new();

    /// <summary>The action's name in paths and documents.</summary>
    public static string NameOf(ModelAction action) => action switch
    {
        ModelAction.Load => "load",
        ModelAction.Reload => "reload",
        _ => "unload",
    };

    /// <summary>Why an action makes no sense for a model as it is; null where it does. A load always does: there is nothing to do where the model is loaded.</summary>
    public static string? Conflict(ModelAction action, ModelStatus status)
    {
        var isThereOrComes = status.IsAvailable || status.State is ModelState.Queued or ModelState.Loading or ModelState.Loaded or ModelState.Reloading;
        return action switch
        {
            ModelAction.Reload when !isThereOrComes => $"{status.Name} is not loaded ({status.State}), so that there is nothing to reload: load it.",
            // One that failed is tried again, which an unload ends; and one that is being unloaded will be.
            ModelAction.Unload when !isThereOrComes && status.State != ModelState.Unloading && status.Failure?.NextAttemptAt is null =>
                $"{status.Name} is not loaded ({status.State}), so that there is nothing to unload.",
            _ => null,
        };
    }

    /// <summary>Begins an action, unless one that waits does the same.</summary>
    public void Begin(IHostedModel model, ModelAction action, IPAddress? by)
    {
        ActionAsked(logger, action, model.Name, by);
        var key = (model.Name, action);
        var running = _running.AddOrUpdate(key, 1, (_, count) => Math.Min(count + 1, MostAtATime + 1));
        if (running <= MostAtATime)
        {
            // Not on the request's thread: the store may do much before it first waits.
            _ = Task.Run(() => RunAsync(model, action, key), CancellationToken.None);
        }
    }

    private async Task RunAsync(IHostedModel model, ModelAction action, (string Model, ModelAction Action) key)
    {
        try
        {
            await (action switch
            {
                ModelAction.Load => model.LoadAsync(lifetime.ApplicationStopping),
                ModelAction.Reload => model.ReloadAsync(lifetime.ApplicationStopping),
                _ => model.UnloadAsync(lifetime.ApplicationStopping),
            }).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (lifetime.ApplicationStopping.IsCancellationRequested)
        {
            // The host stops, which frees every model.
        }
#pragma warning disable CA1031 // The client has its answer; what failed is in the model's status, and here for who reads logs.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            ActionFailed(logger, action, model.Name, exception.Message);
        }
        finally
        {
            _ = _running.AddOrUpdate(key, 0, (_, count) => Math.Min(count, MostAtATime) - 1);
        }
    }

    [LoggerMessage(EventId = HttpEventIds.ActionAsked, EventName = nameof(ActionAsked), Level = LogLevel.Information, Message = "{Address} asks for this of {Model}: {Action}.")]
    private static partial void ActionAsked(ILogger logger, ModelAction action, string model, IPAddress? address);

    [LoggerMessage(EventId = HttpEventIds.ActionFailed, EventName = nameof(ActionFailed), Level = LogLevel.Warning, Message = "The {Action} of {Model} that was asked for over HTTP did not come to its end: {Reason}")]
    private static partial void ActionFailed(ILogger logger, ModelAction action, string model, string reason);
}
