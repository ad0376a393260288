namespace IlgpuLoader.Hosting;

/// <summary>A model is not loaded, and is not going to be without a call; where its load has failed, that is the inner exception.</summary>
public sealed class ModelNotAvailableException : Exception
{
    internal ModelNotAvailableException(string model, string message, Exception? innerException = null)
        : base(message, innerException) => Model = model;

    /// <summary>The model's name.</summary>
    public string Model { get; }
}
