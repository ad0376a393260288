namespace IlgpuLoader.Hosting;

/// <summary>The names and tags of the health checks.</summary>
public static class IlgpuLoaderHealth
{
    /// <summary>
    /// The check of the models: healthy where all required ones are available and nothing has failed, degraded where one is not as it should be that nobody requires, or a reload has failed
    /// or left old layers; unhealthy until all required ones are available.
    /// </summary>
    public const string ModelsCheck = "models";

    /// <summary>The check of the service that loads models: unhealthy only where it has ended by a failure.</summary>
    public const string LoadingServiceCheck = "loading-service";

    /// <summary>The tag of checks that say whether requests may come (readiness).</summary>
    public const string ReadyTag = "ready";

    /// <summary>The tag of checks that say whether the process is to be started anew (liveness).</summary>
    public const string LiveTag = "live";
}
