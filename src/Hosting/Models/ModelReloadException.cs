namespace IlgpuLoader.Hosting;

/// <summary>A reload has failed, which is the inner exception; the model has its old tensors, but for layers that were replaced before.</summary>
public sealed class ModelReloadException : Exception
{
    internal ModelReloadException(string model, string message, Exception innerException)
        : base(message, innerException) => Model = model;

    /// <summary>The model's name.</summary>
    public string Model { get; }
}
