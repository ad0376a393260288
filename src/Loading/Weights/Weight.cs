using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// One weight of a checkpoint, as the iterators of this folder give them: its values, or lazily where they are, so that it is narrowed before it is
/// read. Who takes it from the iterator owns it, and disposes either it or its tensor; whoever keeps the tensor need not keep the weight. Its views end with it. Not safe for
/// several threads.
/// </summary>
public sealed class Weight : IDisposable
{
    private readonly StoredWeight? _stored;

    // Whether it stands for another weight, without values.
    private readonly bool _isOutline;

    // The views of the first weight of all, to be disposed with it.
    private readonly List<Weight> _views;

    /// <summary>Makes a weight of a tensor.</summary>
    /// <param name="name">The name in the checkpoint, such as <c>model.layers.0.mlp.up_proj.weight</c>.</param>
    /// <param name="tensor">The tensor; it is the weight's from now on.</param>
    public Weight(string name, Tensor tensor)
        : this(name, tensor, null, [], 0)
    {
    }

    /// <summary>Makes a weight of several tensors. Its tensor is the one that holds the quantised values.</summary>
    /// <param name="name">The name, such as <c>model.layers.0.mlp.up_proj.weight</c>.</param>
    /// <param name="components">The tensors; they are the weight's from now on.</param>
    public Weight(string name, WeightComponents components)
        : this(name, (components ?? throw new ArgumentNullException(nameof(components))).Values)
    {
        Components = components;
    }

    private Weight(string name, Tensor tensor, StoredWeight? stored, List<Weight> views, long pendingHeads, bool isOutline = false)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(tensor);
        (Name, Tensor, _stored, _views, PendingHeads, _isOutline) = (name, tensor, stored, views, pendingHeads, isOutline);
    }

    /// <summary>The name in the checkpoint, such as <c>model.layers.0.mlp.up_proj.weight</c>.</summary>
    public string Name { get; }

    /// <summary>
    /// The tensor. It may share its memory with those of other weights, and keeps that memory alive. Of a lazy weight it is on the meta device, and
    /// of elements that share bytes (blocks, F4) as F32: they are decoded on their way in.
    /// </summary>
    public Tensor Tensor { get; }

    /// <summary>The dtype that the values are stored in.</summary>
    public DType DType => _stored?.Info.DType ?? Tensor.DType;

    /// <summary>The dimensions, outermost first.</summary>
    public Shape Shape => Tensor.Shape;

    /// <summary>Whether the values are not read yet.</summary>
    public bool IsLazy => _stored is not null;

    /// <summary>
    /// What the weight is made of where that is more than one tensor; null for all others. A loader takes them one by one: the weight itself is neither narrowed nor
    /// copied, since its values without their scales would be others. It is disposed as a weight, not by its tensor.
    /// </summary>
    public WeightComponents? Components { get; }

    /// <summary>Where a lazy weight's values come from.</summary>
    internal StoredWeight? Stored => _stored;

    /// <summary>
    /// The heads whose rows are still as the file has them, since moving them is a copy; negative where they are moved the other way, to where a GGUF
    /// file has them; 0 for none.
    /// </summary>
    internal long PendingHeads { get; }

    /// <summary>Makes a lazy weight.</summary>
    /// <param name="info">The tensor in the checkpoint, which stays open.</param>
    /// <param name="name">The weight's name; null for the tensor's.</param>
    /// <param name="transform">What makes the weight of the tensor; null where it is the tensor.</param>
    /// <param name="options">How parts are read that are asked for by themselves (<see cref="MaterializeAsync"/>); null for the defaults.</param>
    /// <exception cref="ArgumentException">The transform does not fit the tensor's shape.</exception>
    public static Weight Lazy(TensorInfo info, string? name = null, WeightTransform? transform = null, LoadOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(info);
        transform ??= WeightTransform.None;
        _ = transform.ShapeOf(info.Shape);
        var stored = new StoredWeight(info, transform, options ?? LoadOptions.Default);
        var heads = transform.Kind switch
        {
            WeightTransformKind.Unpermute => transform.Heads,
            WeightTransformKind.Permute => -transform.Heads,
            _ => 0,
        };
        return new Weight(name ?? info.Name, stored.MakeView(), stored, [], heads);
    }

    /// <summary>Dtype and shape of a weight, without its values: what a loader is tried on.</summary>
    internal static Weight OutlineOf(Weight weight) =>
        new(weight.Name, Tensor.Empty(weight.DType, weight.Shape, MetaDevice.Shared), null, [], 0, isOutline: true);

    /// <summary>Name and tensor; the tensor then takes the weight's place as what is disposed.</summary>
    public void Deconstruct(out string name, out Tensor tensor) => (name, tensor) = (Name, Tensor);

    /// <summary>A part of one dimension. The view ends with the weight.</summary>
    /// <inheritdoc cref="Gpu.Tensor.Narrow" path="/param"/>
    /// <inheritdoc cref="Gpu.Tensor.Narrow" path="/exception"/>
    public Weight Narrow(int dimension, long start, long length)
    {
        var isRows = PendingHeads != 0 && (dimension == 0 || dimension == -Shape.Rank);
        if (isRows && !IsWholeHeads(start, length))
        {
            return AddView(Materialize().Narrow(dimension, start, length), null);
        }

        return AddView(Tensor.Narrow(dimension, start, length), _stored, isRows ? length / (Shape[0] / PendingHeads) : PendingHeads);
    }

    /// <summary>One index of one dimension; the dimension is gone from the result. The view ends with the weight.</summary>
    /// <inheritdoc cref="Gpu.Tensor.Select" path="/param"/>
    /// <inheritdoc cref="Gpu.Tensor.Select" path="/exception"/>
    public Weight Select(int dimension, long index) =>
        PendingHeads != 0 && (dimension == 0 || dimension == -Shape.Rank)
            ? AddView(Materialize().Select(dimension, index), null)
            : AddView(Tensor.Select(dimension, index), _stored, PendingHeads);

    /// <summary>Two dimensions exchanged. The view ends with the weight.</summary>
    /// <inheritdoc cref="Gpu.Tensor.Transpose" path="/exception"/>
    public Weight Transpose(int first, int second) =>
        PendingHeads != 0 ? AddView(Materialize().Transpose(first, second), null) : AddView(Tensor.Transpose(first, second), _stored);

    /// <summary>The same elements in another shape. The view ends with the weight.</summary>
    /// <inheritdoc cref="Gpu.Tensor.View" path="/exception"/>
    public Weight View(params ReadOnlySpan<long> dimensions) =>
        PendingHeads != 0 ? AddView(Materialize().View(dimensions), null) : AddView(Tensor.View(dimensions), _stored);

    /// <summary>Copies the values into a tensor of the same shape, whatever its strides, converted to its dtype. Of a lazy weight into a tensor on the meta device this is recorded (<see cref="MetaRecorder"/>).</summary>
    /// <param name="destination">A tensor of the same shape, or of one element where this has one.</param>
    /// <inheritdoc cref="Gpu.Tensor.CopyFrom" path="/exception"/>
    public void CopyTo(Tensor destination)
    {
        ArgumentNullException.ThrowIfNull(destination);
        if (Components is not null || (_stored is null && !_isOutline) || destination.Device.Kind != DeviceKind.Meta)
        {
            destination.CopyFrom(Materialize());
        }
        else if (PendingHeads != 0 && Tensor.ElementCount > 0)
        {
            WeightTransform.MoveRows(Tensor, PendingHeads, destination);
        }
        else
        {
            destination.CopyFrom(Tensor);
        }
    }

    /// <summary>
    /// The values, for what takes more than indexing (vLLM's <c>convert_pyslice_to_tensor</c>). In a loader that runs on a lazy weight whose values are not there yet, the loader is
    /// left here, and runs again when they are. Outside of loaders <see cref="MaterializeAsync"/> reads them.
    /// </summary>
    /// <returns>A tensor that stays the weight's.</returns>
    /// <exception cref="InvalidOperationException">The weight is made of several tensors (<see cref="Components"/>).</exception>
    public Tensor Materialize() => Components is not null ? throw Composed()
        : _isOutline ? throw new ValuesRequiredException(this)
        : _stored is null ? Tensor
        : _stored.TryFind(WeightPart.Of(this), out var values) ? values
        : throw new ValuesRequiredException(this);

    /// <summary>Brings the values, of a lazy weight by reading this part of it and nothing else.</summary>
    /// <param name="dtype">The dtype of the result; null for the stored one, or F32 where elements share bytes (blocks, F4).</param>
    /// <param name="device">The device of the result; null for that of the options that the weight was made with, or the tensor's own.</param>
    /// <param name="cancellationToken">Ends the reading within the time of one slot.</param>
    /// <returns>A contiguous tensor, which the caller disposes.</returns>
    /// <exception cref="ArgumentException">There is no conversion to the dtype.</exception>
    /// <exception cref="DeviceMemoryException">Host or device cannot hold it.</exception>
    /// <exception cref="CheckpointException">A file is not what it was when it was opened.</exception>
    /// <exception cref="IOException">A read failed; the message names tensor, file and offset.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="InvalidOperationException">The weight is made of several tensors (<see cref="Components"/>).</exception>
    public Task<Tensor> MaterializeAsync(DType? dtype = null, Device? device = null, CancellationToken cancellationToken = default)
    {
        if (Components is not null)
        {
            throw Composed();
        }

        if (_stored is not null)
        {
            var options = device is null ? _stored.Options : _stored.Options with { Device = device };
            return WeightReader.ReadAsync(_stored, WeightPart.Of(this), dtype, options, cancellationToken);
        }

        cancellationToken.ThrowIfCancellationRequested();
        return Task.FromResult(Tensor.To(dtype ?? Tensor.DType, device ?? Tensor.Device));
    }

    /// <summary>Disposes the tensor and all views. Safe to call again.</summary>
    public void Dispose()
    {
        foreach (var view in _views)
        {
            view.Tensor.Dispose();
        }

        Tensor.Dispose();
        Components?.Dispose();
    }

    /// <summary>Name, dtype, shape and device.</summary>
    public override string ToString() => IsLazy ? $"{Name} {DType.Name} {Shape}, not read" : $"{Name} {Tensor}";

    private bool IsWholeHeads(long start, long length)
    {
        var rows = Math.Abs(Shape[0] / PendingHeads);
        return rows > 0 && start % rows == 0 && length % rows == 0;
    }

    private InvalidOperationException Composed() => new(
        $"{Quoted.Name(Name)} is a {Quoted.Plain(Components!.Kind)} of {string.Join(", ", Components.Tensors.Keys.Select(Quoted.Name))}: its values are none without the others. "
        + "Its loader takes the components.");

    private Weight AddView(Tensor view, StoredWeight? stored, long heads = 0)
    {
        if (Components is not null)
        {
            view.Dispose();
            throw Composed();
        }

        var weight = new Weight(Name, view, stored, _views, heads, _isOutline);
        _views.Add(weight);
        return weight;
    }
}
