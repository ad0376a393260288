using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// A tensor of a model, the loader that fills it, and attributes. Made on the meta device, where it has a dtype and a shape and no storage; a load
/// gives it storage. Owns its tensor. Not safe for several threads.
/// </summary>
/// <remarks>
/// A class derived of it is kept where a parameter is copied to or from the meta device (<see cref="MetaTensors"/>), with what its fields have, as they are: a reference to the module that the parameter is
/// in belongs among the <see cref="Attributes"/>, where it is bound to the module of the copy.
/// </remarks>
public class Parameter : IDisposable
{
    private Shape? _wholeShape;

    /// <summary>Makes a parameter without storage.</summary>
    /// <param name="dtype">The element type; what is loaded is converted to it.</param>
    /// <param name="shape">The dimensions on this rank, outermost first.</param>
    /// <param name="loader">What fills it; null for <see cref="WeightLoaders.Default"/>.</param>
    /// <exception cref="ArgumentException">The elements do not fill whole bytes or blocks.</exception>
    public Parameter(DType dtype, Shape shape, WeightLoader? loader = null)
        : this(Tensor.Empty(dtype, shape, MetaDevice.Shared), loader)
    {
    }

    /// <summary>Makes a parameter of a tensor.</summary>
    /// <param name="data">The tensor; it is the parameter's from now on.</param>
    /// <param name="loader">What fills it; null for <see cref="WeightLoaders.Default"/>.</param>
    public Parameter(Tensor data, WeightLoader? loader = null)
    {
        ArgumentNullException.ThrowIfNull(data);
        Data = data;
        Loader = loader ?? WeightLoaders.Default;
    }

    /// <summary>The full name in the model, for messages; a load sets it. Empty before.</summary>
    public string Name { get; set; } = "";

    /// <summary>The tensor; stays the parameter's.</summary>
    public Tensor Data { get; private set; }

    /// <summary>The element type.</summary>
    public DType DType => Data.DType;

    /// <summary>The dimensions on this rank, outermost first.</summary>
    public Shape Shape => Data.Shape;

    /// <summary>Whether there is no storage yet.</summary>
    public bool IsMeta => Data.Device.Kind == DeviceKind.Meta;

    /// <summary>What fills it.</summary>
    public WeightLoader Loader { get; set; }

    /// <summary>
    /// The dimensions over all ranks, of the one weight without a <see cref="ShardId"/> that the loader takes its share from. Known of the loaders of <see cref="WeightLoaders"/>; of others it is
    /// <see cref="Shape"/>, unless it is set.
    /// </summary>
    public Shape WholeShape
    {
        get => _wholeShape ?? Sharing?.WholeOf(Shape) ?? Shape;
        set => _wholeShape = value;
    }

    /// <summary>What knows the loader's whole, also below functions that are applied to it.</summary>
    internal ISharingLoader? Sharing => FindSharing(_ => true);

    /// <summary>What knows where the values are that ranks have behind the load: null below a function that may move or mix them.</summary>
    internal ISharingLoader? Splitting => FindSharing(composed => composed.IsElementwise);

    /// <summary>Whether a checkpoint without it is incomplete; an optional one that nothing fills gets no storage. Default: true.</summary>
    public bool IsRequired { get; init; } = true;

    /// <summary>From which stored dtypes it takes values. Default: from every one that there is a conversion from.</summary>
    public ParameterConversion Conversion { get; init; }

    /// <summary>What else is known of it, by name, for loaders and quantisation methods.</summary>
    public IDictionary<string, object?> Attributes { get; private set; } = new Dictionary<string, object?>(StringComparer.Ordinal);

    /// <summary>Puts a weight into the parameter.</summary>
    /// <inheritdoc cref="WeightLoader"/>
    public void Load(Weight weight, ShardId shard = default)
    {
        ArgumentNullException.ThrowIfNull(weight);
        Loader(this, weight, shard);
    }

    /// <summary>
    /// Says that what follows in a loader works on the parameter's values: where they are not there yet, the loader is left here and runs again
    /// when they are.
    /// </summary>
    /// <exception cref="InvalidOperationException">The values are not there yet. A loader lets it pass: what runs it brings them.</exception>
    public void ValuesNeeded()
    {
        if (IsMeta)
        {
            throw new ValuesRequiredException();
        }
    }

    /// <summary>Replaces the tensor, and disposes the one before.</summary>
    /// <param name="data">The tensor; it is the parameter's from now on.</param>
    public void SetData(Tensor data)
    {
        ArgumentNullException.ThrowIfNull(data);
        if (!ReferenceEquals(data, Data))
        {
            var before = Data;
            Data = data;
            before.Dispose();
        }
    }

    private ISharingLoader? FindSharing(Predicate<ComposedLoader> looksThrough)
    {
        var target = Loader.Target;
        while (target is ComposedLoader composed && looksThrough(composed))
        {
            target = composed.Inner.Target;
        }

        return target as ISharingLoader;
    }

    /// <summary>Sees another tensor for a while, which stays the caller's.</summary>
    /// <param name="data">A tensor of the same dtype and shape.</param>
    /// <returns>The tensor before, to be given back.</returns>
    internal Tensor Exchange(Tensor data)
    {
        var before = Data;
        Data = data;
        return before;
    }

    /// <summary>A parameter of the same class with all that this one has but the tensor. The attributes are its own; what they are is shared.</summary>
    /// <param name="data">Its tensor; it is the copy's from now on.</param>
    internal Parameter With(Tensor data)
    {
        var copy = (Parameter)MemberwiseClone();
        copy.Data = data;
        copy.Attributes = new Dictionary<string, object?>(Attributes, StringComparer.Ordinal);
        return copy;
    }

    /// <summary>Disposes the tensor. Safe to call again.</summary>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Disposes the tensor.</summary>
    /// <param name="disposing">Whether it is called by <see cref="Dispose()"/>.</param>
    protected virtual void Dispose(bool disposing)
    {
        if (disposing)
        {
            Data.Dispose();
        }
    }

    /// <summary>Name, dtype, shape and device.</summary>
    public override string ToString() => $"{(Name.Length == 0 ? "parameter" : Name)} {Data}";
}
